// SPDX-License-Identifier: Apache-2.0
// The CUDA attention kernels: the rows of the CPU's tests, against the f64 reference with the same bounds.
#include <algorithm>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "core/allocator.h"
#include "core/ops/attention/attention.h"
#include "tests/core/attention_cases.h"
#include "tests/core/attention_checks.h"
#include "tests/support/cuda_test.h"
#include "tests/support/op_case.h"

namespace clausius {
namespace {

using ops::AttentionGradients;
using ops::AttentionResult;
using test::AttentionCase;
using test::AttentionInputs;

// Head sizes that tensor cores take, with every option that they know.
std::vector<AttentionCase> tensor_core_cases() {
  return {
      {.name = "mma_causal", .B = 1, .T = 131, .S = 131, .D = 64, .E = 64},
      {.name = "mma_wide", .B = 1, .T = 70, .S = 135, .D = 128, .E = 128, .causal = false},
      {.name = "mma_huge", .B = 1, .T = 70, .S = 70, .D = 64, .E = 64, .q_std = 300.0},
      {.name = "mma_everything",
       .H = 4,
       .G = 2,
       .T = 100,
       .S = 100,
       .D = 64,
       .E = 64,
       .window = 70,
       .documents = {0, 90, 100, 200},
       .key_lengths = {95, 50},
       .sink = true,
       .scale_rank = 2},
      {.name = "mma_no_keys",
       .T = 20,
       .S = 70,
       .D = 128,
       .E = 128,
       .causal = false,
       .key_lengths = {0, 66},
       .scale_rank = 1},
  };
}

std::vector<AttentionCase> all_cases() {
  std::vector<AttentionCase> rows = test::small_attention_cases();
  for (const auto& more : {test::tiled_attention_cases(), test::masked_attention_cases(),
                           test::optional_attention_cases(), tensor_core_cases()}) {
    rows.insert(rows.end(), more.begin(), more.end());
  }
  return rows;
}

AttentionInputs on_device(const AttentionInputs& in) {
  AttentionInputs there = in;
  for (Tensor* tensor :
       {&there.q, &there.k, &there.v, &there.scale, &there.sink, &there.dy, &there.dentropy,
        &there.dlse, &there.options.dropout_samples, &there.options.mask.key_lengths}) {
    *tensor = tensor->defined() ? tensor->to(kCuda) : *tensor;
  }
  return there;
}

class CudaAttention : public test::OnCuda<testing::TestWithParam<AttentionCase>> {};

TEST_P(CudaAttention, EqualsReference) {
  const AttentionCase& row = GetParam();
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
    const AttentionInputs in = test::make_inputs(row).to(dtype);
    const AttentionInputs exact = in.to(Dtype::kF64);
    const AttentionInputs there = on_device(in);
    const AttentionResult want = exact.forward();
    const std::int64_t reduction =
        std::max({row.S, row.T * (row.G > 0 ? row.H / row.G : 1), row.D, row.E});
    const double limit =
        test::tolerance(dtype, reduction, 3) + 4 * 0x1p-24 * test::largest_logit(in);
    const std::string what = concat(row.name, " ", dtype);
    const PoisonFreshMemory poison;
    const AttentionResult got = there.forward();
    test::expect_results_close(got, want, limit, what);
    test::expect_entropy_bound(in, got.entropy_BHT, want.entropy_BHT);
    const AttentionGradients gradients = there.backward(got);
    test::expect_gradients_close(gradients, exact.backward(want), limit, what);
    test::expect_same_bits(there.forward(), got, what + " again");
    test::expect_same_bits(there.backward(got), gradients, what + " again");
  }
}

TEST_P(CudaAttention, StridesChangeNoBit) {
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
    const AttentionInputs in = on_device(test::make_inputs(GetParam()).to(dtype));
    AttentionInputs strided = in;
    for (Tensor* tensor : {&strided.q, &strided.k, &strided.v, &strided.dy}) {
      const Tensor dense = *tensor;
      *tensor = test::strided_like(dense);
      tensor->copy_from(dense);
    }
    const AttentionResult result = in.forward();
    test::expect_same_bits(strided.forward(), result, concat(dtype, " strided"));
    const AttentionGradients into{
        test::strided_like(in.q), test::strided_like(in.k), test::strided_like(in.v), {}, {}};
    test::expect_same_bits(strided.backward(result, into), in.backward(result),
                           concat(dtype, " strided"));
  }
}

INSTANTIATE_TEST_SUITE_P(Cases,
                         CudaAttention,
                         testing::ValuesIn(all_cases()),
                         [](const auto& row_info) { return row_info.param.name; });

// ---- entropy where it is hard ----

class CudaAttentionEntropy : public test::OnCuda<testing::TestWithParam<test::NamedLogits>> {};

TEST_P(CudaAttentionEntropy, StaysWithinItsBound) {
  const AttentionInputs in = test::inputs_with_logits(GetParam().second, 5).to(Dtype::kF32);
  test::expect_entropy_bound(in, on_device(in).forward().entropy_BHT,
                             in.to(Dtype::kF64).forward().entropy_BHT);
}

INSTANTIATE_TEST_SUITE_P(Rows,
                         CudaAttentionEntropy,
                         testing::ValuesIn(test::hard_logits()),
                         [](const auto& row_info) { return row_info.param.first; });

// ---- what is not a number, and what does not exist ----

class CudaAttentionOptions : public test::OnCuda<> {};

TEST_F(CudaAttentionOptions, NanInAKeyReachesEveryRowThatSeesIt) {
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
    AttentionInputs in =
        test::make_inputs({.B = 1, .H = 1, .G = 1, .T = 70, .S = 70, .D = 16, .E = 16});
    View<double, 4>(in.k)(0, 0, 20, 3) = std::numeric_limits<double>::quiet_NaN();
    const AttentionInputs there = on_device(in.to(dtype));
    const AttentionResult result = there.forward();
    const Tensor y = result.y_BTHE.to(kCpu).to(Dtype::kF64);
    const Tensor lse = result.lse_BHT.to(kCpu);
    for (std::int64_t i = 20; i < 70; ++i) {
      EXPECT_TRUE(std::isnan(View<const double, 4>(y)(0, i, 0, 0))) << i;
      EXPECT_TRUE(std::isnan(View<const float, 3>(lse)(0, 0, i))) << i;
    }
    const Tensor dq = there.backward(result).dq_BHTD.to(kCpu).to(Dtype::kF64);
    EXPECT_TRUE(std::isnan(View<const double, 4>(dq)(0, 0, 69, 0)));
  }
}

TEST_F(CudaAttentionOptions, KeysThatDoNotExistAreNotRead) {
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
    AttentionInputs in = test::make_inputs(
        {.B = 1, .T = 70, .S = 90, .D = 16, .E = 16, .causal = false, .key_lengths = {37}});
    const AttentionInputs clean = on_device(in.to(dtype));
    const AttentionResult result = clean.forward();
    for (Tensor* tensor : {&in.k, &in.v}) {
      tensor->slice(2, 37, 90).fill(std::numeric_limits<double>::quiet_NaN());
    }
    const AttentionInputs dirty = on_device(in.to(dtype));
    test::expect_same_bits(dirty.forward(), result, "NaN past the last key");
    test::expect_same_bits(dirty.backward(result), clean.backward(result), "NaN past the last key");
  }
}

}  // namespace
}  // namespace clausius
