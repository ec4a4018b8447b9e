// SPDX-License-Identifier: Apache-2.0
// Bounds of attention, and hard rows.
#include "tests/core/attention_checks.h"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "tests/support/op_case.h"

namespace clausius::test {
namespace {

using ops::AttentionGradients;
using ops::AttentionResult;

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

std::vector<double> one_hot(std::int64_t n, double gap, double base) {
  std::vector<double> logits(static_cast<std::size_t>(n), base);
  logits[static_cast<std::size_t>(n / 3)] += gap;
  return logits;
}
std::vector<double> ramp(std::int64_t n, double step, double base) {
  std::vector<double> logits;
  for (std::int64_t j = 0; j < n; ++j) {
    logits.push_back(base + step * static_cast<double>(j));
  }
  return logits;
}

}  // namespace

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

void expect_results_close(const AttentionResult& got,
                          const AttentionResult& want,
                          double limit,
                          const std::string& what) {
  expect_close(got.y_BTHE.to(kCpu), want.y_BTHE, limit, what + " y");
  // The statistics are f32 in every type.
  expect_close(got.lse_BHT.to(kCpu), want.lse_BHT, std::min(limit, 1e-5), what + " lse");
  expect_close(got.max_logit_BH.to(kCpu), want.max_logit_BH, 1e-6, what + " max_logit");
}

void expect_gradients_close(const AttentionGradients& got,
                            const AttentionGradients& want,
                            double limit,
                            const std::string& what) {
  expect_close(got.dq_BHTD.to(kCpu), want.dq_BHTD, limit, what + " dq");
  expect_close(got.dk_BGSD.to(kCpu), want.dk_BGSD, limit, what + " dk");
  expect_close(got.dv_BGSE.to(kCpu), want.dv_BGSE, limit, what + " dv");
  ASSERT_EQ(got.dscale.defined(), want.dscale.defined());
  ASSERT_EQ(got.dsink.defined(), want.dsink.defined());
  if (want.dscale.defined()) {
    expect_close(got.dscale.to(kCpu), want.dscale, limit, what + " dscale");
  }
  if (want.dsink.defined()) {
    expect_close(got.dsink.to(kCpu), want.dsink, limit, what + " dsink");
  }
}

void expect_entropy_bound(const AttentionInputs& in,
                          const Tensor& entropy_BHT,
                          const Tensor& exact_BHT) {
  const Tensor entropy = entropy_BHT.to(kCpu);
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
        const double got = View<const float, 3>(entropy)(b, h, i);
        ASSERT_NEAR(got, exact, 1e-5 * exact + 1e-6 + 8 * 0x1p-24 * logit * (1 + most))
            << "(" << b << ", " << h << ", " << i << ")";
        ASSERT_GE(got, 0.0);
        ASSERT_LE(got, most * (1 + 0x1p-22));
      }
    }
  }
}

void expect_same_bits(const AttentionResult& a, const AttentionResult& b, const std::string& what) {
  expect_bits_equal(a.y_BTHE.to(kCpu), b.y_BTHE.to(kCpu), what + " y");
  expect_bits_equal(a.entropy_BHT.to(kCpu), b.entropy_BHT.to(kCpu), what + " entropy");
  expect_bits_equal(a.lse_BHT.to(kCpu), b.lse_BHT.to(kCpu), what + " lse");
  expect_bits_equal(a.max_logit_BH.to(kCpu), b.max_logit_BH.to(kCpu), what + " max_logit");
}

void expect_same_bits(const AttentionGradients& a,
                      const AttentionGradients& b,
                      const std::string& what) {
  expect_bits_equal(a.dq_BHTD.to(kCpu), b.dq_BHTD.to(kCpu), what + " dq");
  expect_bits_equal(a.dk_BGSD.to(kCpu), b.dk_BGSD.to(kCpu), what + " dk");
  expect_bits_equal(a.dv_BGSE.to(kCpu), b.dv_BGSE.to(kCpu), what + " dv");
  if (a.dscale.defined()) {
    expect_bits_equal(a.dscale.to(kCpu), b.dscale.to(kCpu), what + " dscale");
  }
  if (a.dsink.defined()) {
    expect_bits_equal(a.dsink.to(kCpu), b.dsink.to(kCpu), what + " dsink");
  }
}

Tensor strided_like(const Tensor& x) {
  Tensor wide = Tensor::full({x.size(0), x.size(2), x.size(1) + 3, x.size(3) + 5}, 7.0, x.dtype(),
                             x.device());
  return wide.slice(2, 1, 1 + x.size(1)).slice(3, 2, 2 + x.size(3)).transpose(1, 2);
}

AttentionInputs inputs_with_logits(const std::vector<double>& logits, std::int64_t queries) {
  const auto n = static_cast<std::int64_t>(logits.size());
  AttentionInputs in = test::make_inputs(
      {.B = 1, .H = 1, .G = 1, .T = queries, .S = n, .D = 16, .E = 16, .causal = false});
  in.q.fill(0);
  in.k.fill(0);
  const View<double, 4> q(in.q), k(in.k);
  for (std::int64_t i = 0; i < queries; ++i) {
    q(0, 0, i, 0) = 1;
  }
  for (std::int64_t j = 0; j < n; ++j) {
    k(0, 0, j, 0) = logits[static_cast<std::size_t>(j)];
  }
  in.options.scale = 1.0;
  return in;
}

std::vector<NamedLogits> hard_logits() {
  return {{"uniform", ramp(1000, 0, 0)},
          {"uniform_at_1000", ramp(1000, 0, 1000)},
          {"uniform_at_minus_1000", ramp(333, 0, -1000)},
          {"one_hot_gap_20", one_hot(1000, 20, 0)},
          {"one_hot_gap_20_at_1000", one_hot(1000, 20, 1000)},
          {"one_hot_gap_90", one_hot(64, 90, 0)},
          {"one_hot_gap_1000", one_hot(64, 1000, -500)},
          {"rising", ramp(1000, 0.01, 0)},
          {"rising_at_1000", ramp(1000, 0.01, 1000)},
          {"rising_fast", ramp(300, 3, 0)},
          {"falling_fast", ramp(300, -3, 0)},
          {"one_key", {1000.0}}};
}

}  // namespace clausius::test
