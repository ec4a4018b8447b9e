// SPDX-License-Identifier: Apache-2.0
// The entropy floor (theorem 3.1): its ends, its equality case, and no violation by random, adversarial and real attention rows.
#include "core/ops/entropy_totals/entropy_floor.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "core/linear_algebra/leading_singular.h"
#include "core/ops/attention/attention_probe.h"
#include "tests/core/attention_cases.h"
#include "tests/support/random_tensor.h"

namespace clausius {
namespace {

using ops::entropy_floor;
using Logits = std::vector<double>;

double entropy_of(const Logits& logits) {
  const double top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  double weighted = 0;
  for (const double logit : logits) {
    sum += std::exp(logit - top);
    weighted += std::exp(logit - top) * (logit - top);
  }
  return std::log(sum) - weighted / sum;
}

// Moves the logits to mean 0 and norm `spread`.
Logits projected(Logits logits, double spread) {
  double mean = 0;
  for (const double logit : logits) {
    mean += logit / static_cast<double>(logits.size());
  }
  double squares = 0;
  for (double& logit : logits) {
    logit -= mean;
    squares += logit * logit;
  }
  for (double& logit : logits) {
    logit *= spread / std::sqrt(squares);
  }
  return logits;
}

// f64 evaluates both sides to a few units of the largest term, ln n + s.
double rounding(double spread, double n) {
  return 64 * 0x1p-53 * n * (std::log(n) + spread + 1);
}

TEST(EntropyFloor, IsLnNAtZeroFallsWithTheSpreadAndEndsAtZero) {
  for (const double n : {2.0, 3.0, 17.0, 1000.0}) {
    EXPECT_DOUBLE_EQ(entropy_floor(0.0, n), std::log(n));
    double before = entropy_floor(0.0, n);
    for (double s = 0.25; s < 40; s += 0.25) {
      const double now = entropy_floor(s, n);
      EXPECT_LT(now, before) << s << " of " << n;
      EXPECT_GT(now, 0.0);
      before = now;
    }
    EXPECT_EQ(entropy_floor(1e6, n), 0.0);
    EXPECT_EQ(entropy_floor(std::numeric_limits<double>::infinity(), n), 0.0);
    EXPECT_TRUE(std::isnan(entropy_floor(std::numeric_limits<double>::quiet_NaN(), n)));
  }
  EXPECT_EQ(entropy_floor(0.0, 1.0), 0.0);
  EXPECT_EQ(entropy_floor(3.0, 1.0), 0.0);
  EXPECT_EQ(entropy_floor(3.0, 0.0), 0.0);
}

TEST(EntropyFloor, IsReachedByOnePeak) {
  for (const double n : {2.0, 5.0, 48.0, 513.0}) {
    for (const double s : {0.1, 1.0, 3.0, 10.0, 30.0}) {
      Logits logits(static_cast<std::size_t>(n), -s / std::sqrt(n * (n - 1)));
      logits[1] = s * std::sqrt((n - 1) / n);
      EXPECT_NEAR(entropy_of(logits), entropy_floor(s, n), rounding(s, n)) << n << ", " << s;
    }
  }
}

TEST(EntropyFloor, RandomRowsAreAboveIt) {
  const Tensor numbers = test::random_normal({200, 40}, "rows");
  for (std::int64_t row = 0; row < 200; ++row) {
    for (const std::size_t n : {2U, 7U, 40U}) {
      const double* from = numbers.data<double>() + row * 40;
      for (const double spread : {0.3, 3.0, 12.0}) {
        const Logits logits = projected(Logits(from, from + n), spread);
        EXPECT_GE(entropy_of(logits), entropy_floor(spread, static_cast<double>(n)) -
                                          rounding(spread, static_cast<double>(n)));
      }
    }
  }
}

// Descent of the entropy along its gradient, -p (s - mean_p s), back onto the sphere after each step: it ends near the floor, never below.
TEST(EntropyFloor, NoDescentGetsBelowIt) {
  const Tensor numbers = test::random_normal({6, 24}, "starts");
  for (std::int64_t start = 0; start < 6; ++start) {
    for (const double spread : {1.0, 4.0, 8.0}) {
      const double* from = numbers.data<double>() + start * 24;
      Logits logits = projected(Logits(from, from + 24), spread);
      double lowest = entropy_of(logits);
      const double at_start = lowest;
      const double floor = entropy_floor(spread, 24.0);
      for (int step = 0; step < 4000; ++step) {
        const double top = *std::max_element(logits.begin(), logits.end());
        double sum = 0;
        double mean = 0;
        for (const double logit : logits) {
          sum += std::exp(logit - top);
          mean += std::exp(logit - top) * logit;
        }
        mean /= sum;
        Logits moved = logits;
        for (std::size_t j = 0; j < moved.size(); ++j) {
          moved[j] += std::exp(logits[j] - top) / sum * (logits[j] - mean);
        }
        logits = projected(moved, spread);
        lowest = std::min(lowest, entropy_of(logits));
        ASSERT_GE(entropy_of(logits), floor - rounding(spread, 24)) << "step " << step;
      }
      EXPECT_LT(lowest - floor, 0.02 * (at_start - floor) + 1e-9) << "it is reached from " << start;
    }
  }
}

// a b^T
Tensor product(const Tensor& a, const Tensor& b) {
  Tensor c = Tensor::zeros({a.size(0), b.size(0)}, Dtype::kF64);
  const View<const double, 2> a_IM(a), b_JM(b);
  const View<double, 2> c_IJ(c);
  for (std::int64_t i = 0; i < a.size(0); ++i) {
    for (std::int64_t j = 0; j < b.size(0); ++j) {
      for (std::int64_t m = 0; m < a.size(1); ++m) {
        c_IJ(i, j) += a_IM(i, m) * b_JM(j, m);
      }
    }
  }
  return c;
}

double spectral_norm(const Tensor& matrix) {
  return leading_singular_svd(matrix, "matrix").sigma;
}

// One head as attention makes it: logits c X W_K W_Q^T X^T, causal or not, with and without biases. The row's own spread bounds its
// entropy; the spectral norms bound every row's.
TEST(EntropyFloor, AttentionRowsAreAboveTheirOwnFloorAndThatAboveTheSpectralOne) {
  for (const bool causal : {false, true}) {
    for (const double size : {0.05, 0.3, 1.0}) {
      constexpr std::int64_t kT = 33;
      constexpr std::int64_t kM = 12;
      constexpr std::int64_t kD = 5;
      const Tensor x = test::random_normal({kT, kM}, "x", size);
      const Tensor w_q = test::random_normal({kD, kM}, "w_q", size);
      const Tensor w_k = test::random_normal({kD, kM}, "w_k", size);
      const Tensor q = product(x, w_q);
      const Tensor k = product(x, w_k);
      ops::AttentionOptions options;
      options.mask.causal = causal;
      const auto as_head = [](const Tensor& rows) {
        return rows.reshape({1, 1, rows.size(0), rows.size(1)});
      };
      const ops::AttentionResult result =
          ops::attention(as_head(q), as_head(k), as_head(k), {}, {}, options);
      const ops::AttentionProbe probe =
          ops::attention_probe(as_head(q), as_head(k), {}, {}, result.lse_BHT, options, true);
      const Tensor logits_map =
          product(w_k.transpose(0, 1).contiguous(), w_q.transpose(0, 1).contiguous());
      const double sigma_x = spectral_norm(x);
      const double spectral =
          spectral_norm(logits_map) * sigma_x * sigma_x / std::sqrt(static_cast<double>(kD));
      for (std::int64_t i = 0; i < kT; ++i) {
        const auto n = static_cast<double>(causal ? i + 1 : kT);
        const double entropy = result.entropy_BHT.data<double>()[i];
        const double spread = probe.spread_BHT.data<double>()[i];
        const double own = entropy_floor(spread, n);
        EXPECT_GE(entropy, own - rounding(spread, n)) << i;
        EXPECT_LE(spread, spectral * (1 + 1e-9)) << i;
        EXPECT_GE(own, entropy_floor(spectral, n) - rounding(spectral, n)) << i;
      }
    }
  }
}

// A key bias b adds q.b to every logit of a row.
TEST(EntropyFloor, AKeyBiasChangesNoEntropyAndNoSpread) {
  test::AttentionInputs in = test::make_inputs({.T = 9, .S = 9});
  const ops::AttentionResult plain = in.forward();
  const ops::AttentionProbe before =
      ops::attention_probe(in.q, in.k, {}, {}, plain.lse_BHT, in.options, true);
  for (std::int64_t n = 0; n < in.k.numel(); ++n) {
    in.k.data<double>()[n] += 0.7 - 0.3 * static_cast<double>(n % in.k.size(3));
  }
  const ops::AttentionResult biased = in.forward();
  const ops::AttentionProbe after =
      ops::attention_probe(in.q, in.k, {}, {}, biased.lse_BHT, in.options, true);
  for (std::int64_t n = 0; n < plain.entropy_BHT.numel(); ++n) {
    EXPECT_NEAR(biased.entropy_BHT.data<double>()[n], plain.entropy_BHT.data<double>()[n], 1e-13);
    EXPECT_NEAR(after.spread_BHT.data<double>()[n], before.spread_BHT.data<double>()[n], 1e-13);
  }
}

}  // namespace
}  // namespace clausius
