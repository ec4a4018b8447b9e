// SPDX-License-Identifier: Apache-2.0
// The CUDA attention kernels on the emulated device: the rows of the CPU's tests, against the f64 reference with the same bounds.
#include "core/ops/attention/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "core/allocator.h"
#include "tests/core/attention_cases.h"
#include "tests/support/op_case.h"

namespace clausius {
namespace {

using ops::AttentionGradients;
using ops::AttentionResult;
using test::AttentionCase;
using test::AttentionInputs;
using test::expect_bits_equal;
using test::expect_close;

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
    *tensor = tensor->defined() ? tensor->to(Device{DeviceKind::kCuda, 0}) : *tensor;
  }
  return there;
}

AttentionResult on_host(const AttentionResult& result) {
  return {.y_BTHE = result.y_BTHE.to(kCpu),
          .entropy_BHT = result.entropy_BHT.to(kCpu),
          .lse_BHT = result.lse_BHT.to(kCpu),
          .max_logit_BH = result.max_logit_BH.to(kCpu)};
}

double largest_row_norm(const Tensor& x) {
  const Tensor dense = x.to(Dtype::kF64).contiguous();
  const std::int64_t width = dense.size(-1);
  double largest = 0;
  for (std::int64_t row = 0; row < dense.numel() / width; ++row) {
    double squares = 0;
    for (std::int64_t d = 0; d < width; ++d) {
      const double value = dense.span<double>()[static_cast<std::size_t>(row * width + d)];
      squares += value * value;
    }
    largest = std::max(largest, squares);
  }
  return std::sqrt(largest);
}

double largest_logit(const AttentionInputs& in) {
  double scale = 1;
  if (in.scale.defined()) {
    scale = 0;
    const Tensor scales = in.scale.to(Dtype::kF64).contiguous();
    for (const double value : scales.span<double>()) {
      scale = std::max(scale, std::abs(value));
    }
  }
  return scale * largest_row_norm(in.q) * largest_row_norm(in.k) /
         std::sqrt(static_cast<double>(in.q.size(3)));
}

// |H - H64| <= 1e-5 H + 1e-6 + 8 2^-24 max|s| (1 + ln n), and 0 <= H <= ln n.
void expect_entropy_bound(const AttentionInputs& in,
                          const Tensor& entropy_BHT,
                          const Tensor& exact_BHT) {
  const double logit = largest_logit(in);
  const Tensor counts =
      ops::attention_visible_counts(in.options.mask, in.q.size(0), in.q.size(2), in.k.size(2));
  for (std::int64_t b = 0; b < in.q.size(0); ++b) {
    for (std::int64_t h = 0; h < in.q.size(1); ++h) {
      for (std::int64_t i = 0; i < in.q.size(2); ++i) {
        const std::int64_t choices =
            View<const std::int32_t, 2>(counts)(b, i) + (in.sink.defined() ? 1 : 0);
        const double most = choices > 0 ? std::log(static_cast<double>(choices)) : 0.0;
        const double exact = View<const double, 3>(exact_BHT)(b, h, i);
        const double got = View<const float, 3>(entropy_BHT)(b, h, i);
        ASSERT_NEAR(got, exact, 1e-5 * exact + 1e-6 + 8 * 0x1p-24 * logit * (1 + most))
            << "(" << b << ", " << h << ", " << i << ")";
        ASSERT_GE(got, 0.0);
        ASSERT_LE(got, most * (1 + 0x1p-22));
      }
    }
  }
}

void expect_results_close(const AttentionResult& got,
                          const AttentionResult& want,
                          double limit,
                          const std::string& what) {
  expect_close(got.y_BTHE, want.y_BTHE, limit, what + " y");
  expect_close(got.lse_BHT, want.lse_BHT, std::min(limit, 1e-5), what + " lse");
  expect_close(got.max_logit_BH, want.max_logit_BH, 1e-6, what + " max_logit");
}

using Pairs = std::vector<std::tuple<const char*, Tensor, Tensor>>;

Pairs pairs_of(const AttentionGradients& a, const AttentionGradients& b) {
  return {{"dq", a.dq_BHTD, b.dq_BHTD},
          {"dk", a.dk_BGSD, b.dk_BGSD},
          {"dv", a.dv_BGSE, b.dv_BGSE},
          {"dscale", a.dscale, b.dscale},
          {"dsink", a.dsink, b.dsink}};
}

Pairs pairs_of(const AttentionResult& a, const AttentionResult& b) {
  return {{"y", a.y_BTHE, b.y_BTHE},
          {"entropy", a.entropy_BHT, b.entropy_BHT},
          {"lse", a.lse_BHT, b.lse_BHT},
          {"max_logit", a.max_logit_BH, b.max_logit_BH}};
}

void expect_same_bits(const Pairs& pairs, const std::string& what) {
  for (const auto& [name, a, b] : pairs) {
    ASSERT_EQ(a.defined(), b.defined());
    if (a.defined()) {
      expect_bits_equal(a.to(kCpu), b.to(kCpu), concat(what, " ", name));
    }
  }
}

// [B, heads, T, width] as part of a wider buffer in [B, T, heads, width] order, on the device.
Tensor strided_like(const Tensor& x) {
  Tensor wide = Tensor::full({x.size(0), x.size(2), x.size(1) + 3, x.size(3) + 5}, 7.0, x.dtype(),
                             x.device());
  return wide.slice(2, 1, 1 + x.size(1)).slice(3, 2, 2 + x.size(3)).transpose(1, 2);
}

class CudaAttention : public testing::TestWithParam<AttentionCase> {};

TEST_P(CudaAttention, EqualsReference) {
  const AttentionCase& row = GetParam();
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
    const AttentionInputs in = test::make_inputs(row).to(dtype);
    const AttentionInputs exact = in.to(Dtype::kF64);
    const AttentionInputs there = on_device(in);
    const AttentionResult want = exact.forward();
    const std::int64_t reduction =
        std::max({row.S, row.T * (row.G > 0 ? row.H / row.G : 1), row.D, row.E});
    const double limit = test::tolerance(dtype, reduction, 3) + 4 * 0x1p-24 * largest_logit(in);
    const std::string what = concat(row.name, " ", dtype);
    const PoisonFreshMemory poison;
    const AttentionResult result = there.forward();
    const AttentionResult got = on_host(result);
    expect_results_close(got, want, limit, what);
    expect_entropy_bound(in, got.entropy_BHT, want.entropy_BHT);
    const AttentionGradients gradients = there.backward(result);
    for (const auto& [name, mine, reference] : pairs_of(gradients, exact.backward(want))) {
      ASSERT_EQ(mine.defined(), reference.defined());
      if (mine.defined()) {
        expect_close(mine.to(kCpu), reference, limit, concat(what, " ", name));
      }
    }
    expect_same_bits(pairs_of(there.forward(), result), what + " again");
    expect_same_bits(pairs_of(there.backward(result), gradients), what + " again");
  }
}

TEST_P(CudaAttention, StridesChangeNoBit) {
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
    const AttentionInputs in = on_device(test::make_inputs(GetParam()).to(dtype));
    AttentionInputs strided = in;
    for (Tensor* tensor : {&strided.q, &strided.k, &strided.v, &strided.dy}) {
      const Tensor dense = *tensor;
      *tensor = strided_like(dense);
      tensor->copy_from(dense);
    }
    const AttentionResult result = in.forward();
    expect_same_bits(pairs_of(strided.forward(), result), concat(dtype, " strided"));
    const AttentionGradients into{
        strided_like(in.q), strided_like(in.k), strided_like(in.v), {}, {}};
    expect_same_bits(pairs_of(strided.backward(result, into), in.backward(result)),
                     concat(dtype, " strided"));
  }
}

INSTANTIATE_TEST_SUITE_P(Cases,
                         CudaAttention,
                         testing::ValuesIn(all_cases()),
                         [](const auto& row_info) { return row_info.param.name; });

// ---- entropy where it is hard ----

AttentionInputs with_logits(const std::vector<double>& logits) {
  const auto n = static_cast<std::int64_t>(logits.size());
  AttentionInputs in = test::make_inputs(
      {.B = 1, .H = 1, .G = 1, .T = 5, .S = n, .D = 16, .E = 16, .causal = false});
  in.q.fill(0);
  in.k.fill(0);
  const View<double, 4> q(in.q), k(in.k);
  for (std::int64_t i = 0; i < in.q.size(2); ++i) {
    q(0, 0, i, 0) = 1;
  }
  for (std::int64_t j = 0; j < n; ++j) {
    k(0, 0, j, 0) = logits[static_cast<std::size_t>(j)];
  }
  in.options.scale = 1.0;
  return in;
}

std::vector<double> ramp(std::int64_t n, double step, double base) {
  std::vector<double> logits;
  for (std::int64_t j = 0; j < n; ++j) {
    logits.push_back(base + step * static_cast<double>(j));
  }
  return logits;
}

std::vector<double> one_hot(std::int64_t n, double gap, double base) {
  std::vector<double> logits = ramp(n, 0, base);
  logits[static_cast<std::size_t>(n / 3)] += gap;
  return logits;
}

TEST(CudaAttentionEntropy, StaysWithinItsBound) {
  for (const std::vector<double>& logits :
       {ramp(1000, 0, 0), ramp(1000, 0, 1000), ramp(333, 0, -1000), one_hot(1000, 20, 0),
        one_hot(1000, 20, 1000), one_hot(64, 90, 0), one_hot(64, 1000, -500), ramp(1000, 0.01, 0),
        ramp(1000, 0.01, 1000), ramp(300, 3, 0), ramp(300, -3, 0), ramp(1, 0, 1000)}) {
    const AttentionInputs in = with_logits(logits).to(Dtype::kF32);
    expect_entropy_bound(in, on_device(in).forward().entropy_BHT.to(kCpu),
                         in.to(Dtype::kF64).forward().entropy_BHT);
  }
}

// ---- what is not a number, and what does not exist ----

TEST(CudaAttentionOptions, NanInAKeyReachesEveryRowThatSeesIt) {
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
    AttentionInputs in =
        test::make_inputs({.B = 1, .H = 1, .G = 1, .T = 70, .S = 70, .D = 16, .E = 16});
    View<double, 4>(in.k)(0, 0, 20, 3) = std::numeric_limits<double>::quiet_NaN();
    const AttentionInputs there = on_device(in.to(dtype));
    const AttentionResult result = there.forward();
    const AttentionResult got = on_host(result);
    const Tensor y = got.y_BTHE.to(Dtype::kF64);
    for (std::int64_t i = 20; i < 70; ++i) {
      EXPECT_TRUE(std::isnan(View<const double, 4>(y)(0, i, 0, 0))) << i;
      EXPECT_TRUE(std::isnan(View<const float, 3>(got.lse_BHT)(0, 0, i))) << i;
    }
    const Tensor dq = there.backward(result).dq_BHTD.to(kCpu).to(Dtype::kF64);
    EXPECT_TRUE(std::isnan(View<const double, 4>(dq)(0, 0, 69, 0)));
  }
}

TEST(CudaAttentionOptions, KeysThatDoNotExistAreNotRead) {
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
    AttentionInputs in = test::make_inputs(
        {.B = 1, .T = 70, .S = 90, .D = 16, .E = 16, .causal = false, .key_lengths = {37}});
    const AttentionInputs clean = on_device(in.to(dtype));
    const AttentionResult result = clean.forward();
    for (Tensor* tensor : {&in.k, &in.v}) {
      tensor->slice(2, 37, 90).fill(std::numeric_limits<double>::quiet_NaN());
    }
    const AttentionInputs dirty = on_device(in.to(dtype));
    expect_same_bits(pairs_of(dirty.forward(), result), "NaN past the last key");
    expect_same_bits(pairs_of(dirty.backward(result), clean.backward(result)),
                     "NaN past the last key");
  }
}

}  // namespace
}  // namespace clausius
