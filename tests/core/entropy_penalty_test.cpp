// SPDX-License-Identifier: Apache-2.0
// entropy_penalty: case table away from the border, the border itself, what counts, the two reductions.
#include "core/ops/entropy_penalty/entropy_penalty.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "autograd/rules/entropy_penalty.h"
#include "core/error.h"
#include "tests/support/op_case.h"

namespace clausius::test {
namespace {

constexpr double kMaximum = 4.0;

// Every fifth row sees nothing.
Tensor outcomes_of(std::int64_t B, std::int64_t T) {
  Tensor outcomes = Tensor::empty({B, T}, Dtype::kI32);
  for (std::int64_t n = 0; n < B * T; ++n) {
    outcomes.data<std::int32_t>()[n] = n % 5 == 3 ? 0 : static_cast<std::int32_t>(1 + n % 7);
  }
  return outcomes;
}

Tensor positions_of(std::int64_t B, std::int64_t T) {
  Tensor positions = Tensor::empty({B, T}, Dtype::kI32);
  for (std::int64_t n = 0; n < B * T; ++n) {
    positions.data<std::int32_t>()[n] = static_cast<std::int32_t>(n % T);
  }
  return positions;
}

// Entropies at 0.1, 0.9, 1.7, .. below the maximum, far from every border: 0.5 * 4 -+ 0.2 * 4.
Tensor entropies(const Shape& shape) {
  Tensor entropy = Tensor::empty(shape, Dtype::kF64);
  for (std::int64_t i = 0; i < entropy.numel(); ++i) {
    entropy.data<double>()[i] = 0.1 + 0.8 * static_cast<double>((i * 7 + i / 11) % 5);
  }
  return entropy;
}

std::vector<OpCase> entropy_penalty_rows() {
  std::vector<OpCase> cases;
  const auto add = [&](const std::string& name, std::int64_t B, std::int64_t H, std::int64_t T,
                       ops::EntropyPenaltyOptions options) {
    options.maximum = kMaximum;
    options.scale = 1.0 / static_cast<double>(H);
    for (const bool of_means : {false, true}) {
      options.of_means = of_means;
      cases.push_back(
          {.name = name + (of_means ? "_means" : "_rows"),
           // Normal: a border has no width, and f32 rows that f64 puts on its other side would show in the comparison.
           .inputs = {{.shape = {B, H, T}}, {.shape = {H}, .fill = Fill::kUniform}},
           .fn =
               [options, outcomes = outcomes_of(B, T),
                positions = positions_of(B, T)](const std::vector<Variable>& x) {
                 const Device device = x[0].value().device();
                 return std::vector{entropy_penalty(x[0], x[1], outcomes.to(device),
                                                    positions.to(device), options)};
               },
           .reduction = 1,
           .roundings = 4,
           .dtypes = {Dtype::kF32}});
    }
  };
  add("size_0", 0, 2, 3, {});
  add("size_1", 1, 1, 1, {.tolerance = 0.2});
  add("prime", 2, 3, 7, {.tolerance = 0.2});
  add("skip", 2, 3, 7, {.tolerance = 0.1, .skip_rows = 3});
  add("skip_all", 2, 2, 5, {.skip_rows = 5});
  add("over_a_block", 3, 2, 301, {.tolerance = 0.3});
  add("no_tolerance", 2, 5, 64, {});
  return cases;
}

CLS_OP_CASES(entropy_penalty, (entropy_penalty_rows()));

struct Setting {
  Tensor entropy;
  Tensor threshold = Tensor::full({3}, 0.5, Dtype::kF64);
  Tensor outcomes = Tensor::full({2, 8}, 4.0, Dtype::kI32);
};

double penalty_of(const Setting& s, const ops::EntropyPenaltyOptions& options) {
  return ops::entropy_penalty(s.entropy, s.threshold, s.outcomes, {}, options).item();
}

// Rows are B T times means where a head's entropies are all one number.
TEST(EntropyPenalty, OfConstantEntropies) {
  const Setting s{.entropy = Tensor::full({2, 3, 8}, 3.5, Dtype::kF64)};
  const ops::EntropyPenaltyOptions rows{.maximum = kMaximum, .tolerance = 0.2};
  ops::EntropyPenaltyOptions means = rows;
  means.of_means = true;
  EXPECT_EQ(penalty_of(s, rows), 2 * 8 * 3 * 1.5 * 1.5);
  EXPECT_EQ(penalty_of(s, rows), 8 * penalty_of(s, means));
}

TEST(EntropyPenalty, IsTwoSidedAndJumpsBeyondTheTolerance) {
  const ops::EntropyPenaltyOptions options{.maximum = kMaximum, .tolerance = 0.25};
  const auto at = [&](double entropy) {
    return penalty_of({.entropy = Tensor::full({2, 3, 8}, entropy, Dtype::kF64)}, options) / 48;
  };
  EXPECT_EQ(at(3.0), 0.0);  // on the border
  EXPECT_EQ(at(1.0), 0.0);
  EXPECT_EQ(at(2.3), 0.0);
  const double above = std::nextafter(3.0, 4.0) - 2.0;
  EXPECT_DOUBLE_EQ(at(2.0 + above), above * above);  // not shifted by the tolerance
  EXPECT_DOUBLE_EQ(at(0.5), 1.5 * 1.5);
  EXPECT_DOUBLE_EQ(at(3.5), 1.5 * 1.5);
}

TEST(EntropyPenalty, AWideToleranceSwitchesItOff) {
  const Setting s{.entropy = entropies({2, 3, 8})};
  for (const bool of_means : {false, true}) {
    const ops::EntropyPenaltyOptions options{
        .of_means = of_means, .maximum = kMaximum, .tolerance = 0.5};
    EXPECT_EQ(penalty_of(s, options), 0.0);
    const auto d = ops::entropy_penalty_backward(Tensor::scalar(1.0, Dtype::kF64), s.entropy,
                                                 s.threshold, s.outcomes, {}, options);
    expect_bits_equal(d.dentropy_BHT, Tensor::zeros({2, 3, 8}, Dtype::kF64), "dentropy");
    for (const double value : d.dthreshold_H.span<double>()) {
      EXPECT_EQ(value, 0.0);
    }
  }
}

TEST(EntropyPenalty, RowsThatSeeNothingCountNowhere) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const bool of_means : {false, true}) {
    const ops::EntropyPenaltyOptions options{.of_means = of_means, .maximum = kMaximum};
    Setting s{.entropy = Tensor::full({2, 3, 8}, 3.0, Dtype::kF64)};
    for (std::int64_t h = 0; h < 3; ++h) {
      s.entropy.data<double>()[h * 8 + 5] = nan;
    }
    EXPECT_TRUE(std::isnan(penalty_of(s, options))) << "a NaN must not pass for a small deviation";
    s.outcomes.data<std::int32_t>()[5] = 0;
    EXPECT_EQ(penalty_of(s, options), of_means ? 6.0 : 3.0 * 15);
  }
}

TEST(EntropyPenalty, RefusesWhatDoesNotFit) {
  const Setting s{.entropy = entropies({2, 3, 8})};
  const auto call = [&](const Tensor& threshold, const Tensor& outcomes, std::int64_t skip) {
    (void)ops::entropy_penalty(s.entropy, threshold, outcomes, {}, {.skip_rows = skip});
  };
  EXPECT_THROW(call(Tensor::zeros({2}, Dtype::kF64), s.outcomes, 0), ShapeError);
  EXPECT_THROW(call(Tensor::zeros({3}, Dtype::kF32), s.outcomes, 0), DtypeError);
  EXPECT_THROW(call(s.threshold, Tensor::zeros({2, 8}, Dtype::kI64), 0), DtypeError);
  EXPECT_THROW(call(s.threshold, s.outcomes, 1), ShapeError) << "skipping needs positions";
}

}  // namespace
}  // namespace clausius::test
