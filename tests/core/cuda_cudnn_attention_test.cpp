// SPDX-License-Identifier: Apache-2.0
// cuDNN as attention's engine: against the f64 reference with the bounds of our kernels, equal bits in two runs, and what it refuses.
#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/allocator.h"
#include "core/device_backend.h"
#include "core/ops/attention/attention_cudnn.h"
#include "tests/core/attention_cases.h"
#include "tests/core/attention_checks.h"
#include "tests/support/op_case.h"

namespace clausius {
namespace {

using ops::AttentionEngine;
using ops::AttentionGradients;
using ops::AttentionResult;
using test::AttentionCase;
using test::AttentionInputs;

// Without what the engine has no gradient for.
AttentionInputs inputs_of(const AttentionCase& row) {
  AttentionInputs in = test::make_inputs(row).to(Dtype::kBf16);
  in.dentropy = {};
  in.dlse = {};
  return in;
}

AttentionInputs on_cudnn(const AttentionInputs& in) {
  AttentionInputs there = in;
  for (Tensor* tensor : {&there.q, &there.k, &there.v, &there.dy}) {
    *tensor = tensor->to(kCuda);
  }
  there.options.engine = AttentionEngine::kCudnn;
  return there;
}

void expect_same_numbers(const AttentionResult& a,
                         const AttentionResult& b,
                         const std::string& what) {
  test::expect_bits_equal(a.y_BTHE.to(kCpu), b.y_BTHE.to(kCpu), what + " y");
  test::expect_bits_equal(a.lse_BHT.to(kCpu), b.lse_BHT.to(kCpu), what + " lse");
}

class CudnnOnDevice : public testing::TestWithParam<AttentionCase> {
 protected:
  void SetUp() override {
    if (const std::string missing = ops::cudnn_attention_missing(); !missing.empty()) {
      GTEST_SKIP() << missing;
    }
  }
};

TEST_P(CudnnOnDevice, EqualsReference) {
  const AttentionCase& row = GetParam();
  const AttentionInputs in = inputs_of(row);
  const AttentionInputs exact = in.to(Dtype::kF64);
  const AttentionInputs there = on_cudnn(in);
  const AttentionResult want = exact.forward();
  const std::int64_t reduction = std::max({row.S, row.T * (row.H / row.G), row.D, row.E});
  // Of p or the gradients of the scores, of each head's part of a key's gradient, and of their sum.
  const double limit =
      test::tolerance(Dtype::kBf16, reduction, 4) + 4 * 0x1p-24 * test::largest_logit(in);
  const PoisonFreshMemory poison;
  const AttentionResult got = there.forward();
  EXPECT_FALSE(got.entropy_BHT.defined());
  EXPECT_FALSE(got.max_logit_BH.defined());
  test::expect_close(got.y_BTHE.to(kCpu), want.y_BTHE, limit, row.name + " y");
  test::expect_close(got.lse_BHT.to(kCpu), want.lse_BHT, 1e-5, row.name + " lse");
  const AttentionGradients gradients = there.backward(got);
  test::expect_gradients_close(gradients, exact.backward(want), limit, row.name);
  expect_same_numbers(there.forward(), got, row.name + " again");
  test::expect_same_bits(there.backward(got), gradients, row.name + " again");
}

TEST_P(CudnnOnDevice, TakesAnyStrides) {
  const AttentionInputs in = on_cudnn(inputs_of(GetParam()));
  AttentionInputs strided = in;
  for (Tensor* tensor : {&strided.q, &strided.k, &strided.v}) {
    const Tensor dense = *tensor;
    *tensor = test::strided_like(dense);
    tensor->copy_from(dense);
  }
  const AttentionResult result = in.forward();
  expect_same_numbers(strided.forward(), result, "strided");
  const AttentionGradients into{
      test::strided_like(in.q), test::strided_like(in.k), test::strided_like(in.v), {}, {}};
  test::expect_same_bits(strided.backward(result, into), in.backward(result), "strided");
}

INSTANTIATE_TEST_SUITE_P(
    Cases,
    CudnnOnDevice,
    testing::Values(
        AttentionCase{.name = "causal", .T = 128, .S = 128, .D = 64, .E = 64},
        AttentionCase{.name = "causal_prime", .T = 131, .S = 131, .D = 64, .E = 64},
        AttentionCase{.name = "causal_wide", .T = 131, .S = 131, .D = 128, .E = 128},
        AttentionCase{.name = "full", .T = 256, .S = 256, .D = 64, .E = 64, .causal = false},
        AttentionCase{.name = "full_prime", .T = 67, .S = 131, .D = 128, .E = 128, .causal = false},
        AttentionCase{.name = "causal_cross", .T = 131, .S = 67, .D = 64, .E = 64},
        AttentionCase{.name = "shared_heads", .H = 6, .G = 2, .T = 131, .S = 131, .D = 64, .E = 64},
        AttentionCase{
            .name = "one_key_head", .H = 4, .G = 1, .T = 128, .S = 128, .D = 128, .E = 128},
        AttentionCase{.name = "narrow", .T = 70, .S = 70, .D = 8, .E = 8},
        AttentionCase{.name = "odd_width", .T = 70, .S = 70, .D = 40, .E = 72},
        AttentionCase{.name = "large_logits", .T = 131, .S = 131, .D = 64, .E = 64, .q_std = 30.0},
        AttentionCase{.name = "no_keys", .T = 3, .S = 0, .D = 64, .E = 64, .causal = false}),
    [](const auto& row_info) { return row_info.param.name; });

// ---- refusals: these need no device ----

std::string refusal_of(AttentionInputs in) {
  in.options.engine = AttentionEngine::kCudnn;
  try {
    (void)in.forward();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(CudnnAttention, NamesTheOptionThatItHasNot) {
  const AttentionCase plain{.T = 6, .S = 6, .D = 8, .E = 8};
  const auto changed = [&](auto change) {
    AttentionCase row = plain;
    change(row);
    return refusal_of(inputs_of(row));
  };
  using testing::HasSubstr;
  EXPECT_THAT(changed([](auto& row) { row.dropout = 0.5; }), HasSubstr("cudnn: dropout"));
  EXPECT_THAT(changed([](auto& row) { row.softcap = 2.0; }), HasSubstr("cudnn: logit_softcap"));
  EXPECT_THAT(changed([](auto& row) { row.sink = true; }), HasSubstr("cudnn: sink"));
  EXPECT_THAT(changed([](auto& row) { row.scale_rank = 1; }), HasSubstr("cudnn: temperature"));
  EXPECT_THAT(changed([](auto& row) { row.window = 3; }), HasSubstr("cudnn: window"));
  EXPECT_THAT(changed([](auto& row) {
                row.documents = {0, 5, 6, 12};
              }),
              HasSubstr("cudnn: documents that share a row"));
  EXPECT_THAT(changed([](auto& row) {
                row.key_lengths = {6, 5};
              }),
              HasSubstr("cudnn: key lengths"));
  EXPECT_THAT(changed([](auto& row) { row.query_offset = 1; }),
              HasSubstr("cudnn: continued sequences"));
  EXPECT_THAT(changed([](auto& row) { row.D = 12; }), HasSubstr("cudnn: head sizes 12 and 8"));
  EXPECT_THAT(changed([](auto& row) { row.E = 136; }), HasSubstr("cudnn: head sizes 8 and 136"));
  EXPECT_THAT(changed([](auto& row) { row.T = row.S = 1; }),
              HasSubstr("cudnn: one query and one key"));
  AttentionInputs blocks = inputs_of(plain);
  blocks.options.mask.block_list = Tensor::zeros({1}, Dtype::kI32);
  EXPECT_THAT(refusal_of(blocks), HasSubstr("cudnn: a block list"));
  EXPECT_THAT(refusal_of(inputs_of(plain).to(Dtype::kF32)), HasSubstr("cudnn: elements of f32"));
}

TEST(CudnnAttention, SaysThatItIsNotHere) {
  const AttentionInputs in = inputs_of({.T = 6, .S = 6, .D = 8, .E = 8});
  const std::string missing = ops::cudnn_attention_missing();
  EXPECT_THAT(refusal_of(in),
              testing::HasSubstr(missing.empty() ? "computes on the cpu" : missing));
}

TEST(CudnnAttention, HasNoGradientOfStatistics) {
  AttentionInputs in = inputs_of({.T = 6, .S = 6, .D = 8, .E = 8});
  const AttentionResult result = in.forward();
  in.options.engine = AttentionEngine::kCudnn;
  in.dentropy = Tensor::zeros({2, 2, 6}, Dtype::kF32);
  EXPECT_THROW((void)in.backward(result), ConfigError);
}

}  // namespace
}  // namespace clausius
