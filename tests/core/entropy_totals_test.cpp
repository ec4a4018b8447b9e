// SPDX-License-Identifier: Apache-2.0
// Row entropies added up on a device, against the CPU.
#include "core/ops/entropy_totals/entropy_totals.h"

#include <array>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.h"
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
Totals totals_on(Device device, std::int64_t B, std::int64_t H, std::int64_t T) {
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
  Totals totals{Tensor::full({H, 3}, 0.25, Dtype::kF64, device),
                Tensor::full({H}, -1.0, Dtype::kF64, device)};
  ops::entropy_totals(entropy.to(device), Tensor::from(outcomes, {B, T}).to(device),
                      test::random_normal({B, H}, "logits").to(Dtype::kF32).to(device), totals.sums,
                      totals.highest);
  return {totals.sums.to(kCpu), totals.highest.to(kCpu)};
}

class CudaEntropyTotals : public test::OnCuda<> {};

TEST_F(CudaEntropyTotals, EqualTheCpu) {
  for (const auto& [B, H, T] : {std::array<std::int64_t, 3>{1, 1, 1}, {2, 3, 7}, {3, 2, 701}}) {
    const Totals want = totals_on(kCpu, B, H, T);
    const Totals got = totals_on(kCuda, B, H, T);
    // The same f64 terms in another order: each of B T additions may differ by one rounding of the sum of magnitudes.
    const double limit = static_cast<double>(B * T) * 0x1p-53;
    test::expect_close(got.sums, want.sums, limit, "sums");
    test::expect_bits_equal(got.highest, want.highest, "largest logits");
    test::expect_bits_equal(totals_on(kCuda, B, H, T).sums, got.sums, "twice");
  }
}

TEST(EntropyTotalsOp, RefusesWhatDoesNotFit) {
  Tensor sums = Tensor::zeros({2, 3}, Dtype::kF64);
  Tensor highest = Tensor::zeros({2}, Dtype::kF64);
  const Tensor entropy = Tensor::zeros({1, 2, 4}, Dtype::kF32);
  const Tensor logits = Tensor::zeros({1, 2}, Dtype::kF32);
  EXPECT_THROW(
      ops::entropy_totals(entropy, Tensor::zeros({1, 5}, Dtype::kI32), logits, sums, highest),
      ShapeError);
  EXPECT_THROW(
      ops::entropy_totals(entropy, Tensor::zeros({1, 4}, Dtype::kF32), logits, sums, highest),
      DtypeError);
}

}  // namespace
}  // namespace clausius
