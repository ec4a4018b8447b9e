// SPDX-License-Identifier: Apache-2.0
// Row entropies added up on a device, against the CPU.
#include "core/ops/entropy_totals/entropy_totals.h"

#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/ops/entropy_totals/entropy_floor.h"
#include "tests/support/cuda_test.h"
#include "tests/support/op_case.h"
#include "tests/support/random_tensor.h"

namespace clausius {
namespace {

struct Totals {
  Tensor sums;
  Tensor highest;
};

// Starts from numbers that are not zero: they are added to. Every third row sees nothing, and holds a NaN.
Totals totals_on(Device device, std::int64_t B, std::int64_t H, std::int64_t T, bool probed) {
  Tensor entropy = test::random_normal({B, H, T}, "entropy").to(Dtype::kF32);
  std::vector<std::int32_t> outcomes;
  for (std::int64_t row = 0; row < B * T; ++row) {
    outcomes.push_back(row % 3 == 2 ? 0 : static_cast<std::int32_t>(1 + row % 50));
  }
  for (std::int64_t i = 0; i < entropy.numel(); ++i) {
    const std::int64_t row = i / (H * T) * T + i % T;
    if (outcomes[static_cast<std::size_t>(row)] == 0) {
      entropy.data<float>()[i] = std::numeric_limits<float>::quiet_NaN();
    }
  }
  Tensor spread = test::random_normal({B, H, T}, "spread").to(Dtype::kF32);
  Tensor first = test::random_normal({B, H, T}, "first").to(Dtype::kF32);
  for (std::int64_t i = 0; i < spread.numel(); ++i) {
    spread.data<float>()[i] = std::abs(spread.data<float>()[i]);
  }
  Totals totals{Tensor::full({H, ops::kHeadSums}, 0.25, Dtype::kF64, device),
                Tensor::full({H}, -1.0, Dtype::kF64, device)};
  std::vector<std::int32_t> lengths;
  for (std::int64_t b = 0; b < B; ++b) {
    lengths.push_back(static_cast<std::int32_t>(b == 1 ? T / 2 : T));
  }
  ops::ObservedRows rows{
      .entropy_BHT = entropy.to(device),
      .outcomes_BT = Tensor::from(outcomes, {B, T}).to(device),
      .max_logit_BH = test::random_normal({B, H}, "logits").to(Dtype::kF32).to(device)};
  if (probed) {
    rows.lengths_B = Tensor::from(lengths, {B}).to(device);
    rows.spread_BHT = spread.to(device);
    rows.first_BHT = first.to(device);
  }
  ops::entropy_totals(rows, totals.sums, totals.highest);
  return {totals.sums.to(kCpu), totals.highest.to(kCpu)};
}

class CudaEntropyTotals : public test::OnCuda<> {};

TEST_F(CudaEntropyTotals, EqualTheCpu) {
  for (const auto& [B, H, T] : {std::array<std::int64_t, 3>{1, 1, 1}, {2, 3, 7}, {3, 2, 701}}) {
    for (const bool probed : {false, true}) {
      const Totals want = totals_on(kCpu, B, H, T, probed);
      const Totals got = totals_on(kCuda, B, H, T, probed);
      // The same f64 terms in another order: each of B T additions may differ by one rounding of the sum of magnitudes.
      // A floor has a few roundings of its own.
      const double limit = static_cast<double>(B * T + 16) * 0x1p-53;
      test::expect_close(got.sums, want.sums, limit, "sums");
      test::expect_bits_equal(got.highest, want.highest, "largest logits");
      test::expect_bits_equal(totals_on(kCuda, B, H, T, probed).sums, got.sums, "twice");
    }
  }
}

TEST(EntropyTotalsOp, RefusesWhatDoesNotFit) {
  Tensor sums = Tensor::zeros({2, ops::kHeadSums}, Dtype::kF64);
  Tensor highest = Tensor::zeros({2}, Dtype::kF64);
  const Tensor entropy = Tensor::zeros({1, 2, 4}, Dtype::kF32);
  const Tensor logits = Tensor::zeros({1, 2}, Dtype::kF32);
  const ops::ObservedRows good{entropy, Tensor::zeros({1, 4}, Dtype::kI32), logits};
  const auto refused = [&](Tensor ops::ObservedRows::*member, const Tensor& tensor) {
    ops::ObservedRows rows = good;
    rows.*member = tensor;
    ops::entropy_totals(rows, sums, highest);
  };
  using Rows = ops::ObservedRows;
  EXPECT_THROW(refused(&Rows::outcomes_BT, Tensor::zeros({1, 5}, Dtype::kI32)), ShapeError);
  EXPECT_THROW(refused(&Rows::outcomes_BT, Tensor::zeros({1, 4}, Dtype::kF32)), DtypeError);
  EXPECT_THROW(refused(&Rows::spread_BHT, Tensor::zeros({1, 4}, Dtype::kF32)), ShapeError);
  EXPECT_THROW(refused(&Rows::lengths_B, Tensor::zeros({4}, Dtype::kI32)), ShapeError);
}

// Rows of 1, 2, 2 and 4 outcomes and one of padding; the first chooses nothing, the third does not see its document's first token.
TEST(EntropyTotalsOp, CountsWhatEachSumIsOver) {
  Tensor sums = Tensor::zeros({1, ops::kHeadSums}, Dtype::kF64);
  Tensor highest = Tensor::zeros({1}, Dtype::kF64);
  ops::entropy_totals(
      {.entropy_BHT = Tensor::from(std::vector<float>{0.0F, 0.0F, 0.5F, 1.0F, 0.0F}, {1, 1, 5}),
       .outcomes_BT = Tensor::from(std::vector<std::int32_t>{1, 2, 2, 4, 5}, {1, 5}),
       .max_logit_BH = Tensor::zeros({1, 1}, Dtype::kF32),
       .lengths_B = Tensor::from(std::vector<std::int32_t>{4}, {1}),
       .spread_BHT = Tensor::from(std::vector<float>{0.0F, 50.0F, 0.0F, 1.5F, 1.0F}, {1, 1, 5}),
       .first_BHT = Tensor::from(std::vector<float>{1.0F, 0.75F, -1.0F, 0.25F, 1.0F}, {1, 1, 5})},
      sums, highest);
  const auto sum = [&](ops::HeadSum which) {
    return sums.data<double>()[static_cast<std::size_t>(which)];
  };
  EXPECT_EQ(sum(ops::HeadSum::kRows), 4.0);
  EXPECT_EQ(sum(ops::HeadSum::kChoosingRows), 3.0);
  EXPECT_EQ(sum(ops::HeadSum::kLowRows), 1.0);
  EXPECT_DOUBLE_EQ(sum(ops::HeadSum::kEntropy), 1.5);
  EXPECT_DOUBLE_EQ(sum(ops::HeadSum::kAttainable), 4 * std::log(2.0));
  EXPECT_EQ(sum(ops::HeadSum::kFirstMass), 1.0);
  EXPECT_EQ(sum(ops::HeadSum::kFirstRows), 2.0);
  EXPECT_EQ(sum(ops::HeadSum::kFloorRows), 4.0);
  EXPECT_DOUBLE_EQ(sum(ops::HeadSum::kFloor),
                   ops::entropy_floor(50.0, 2.0) + std::log(2.0) + ops::entropy_floor(1.5, 4.0));
}

}  // namespace
}  // namespace clausius
