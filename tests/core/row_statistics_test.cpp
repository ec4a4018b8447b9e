// SPDX-License-Identifier: Apache-2.0
// Where padding begins, and the squares of what stands before it, on every instruction set and device.
#include <array>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/ops/row_lengths/row_lengths.h"
#include "core/ops/row_squares/row_squares.h"
#include "core/targets.h"
#include "tests/support/cuda_test.h"
#include "tests/support/op_case.h"
#include "tests/support/random_tensor.h"
#include "tests/support/simd_targets.h"

namespace clausius {
namespace {

constexpr std::int32_t kNone = kIgnoredTarget;

void expect_lengths(Device device) {
  const Tensor targets = Tensor::from(
      std::vector<std::int32_t>{
          1,     2,
          3,     4,  // full
          1,     2,
          3,     kNone,  // the last token's own target is not known: it is the third's
          1,     kNone,
          3,     kNone,  // a document ended inside
          5,     kNone,
          kNone, kNone,  // two tokens, then padding
          kNone, kNone,
          kNone, 0,  //
          kNone, kNone,
          kNone, kNone,
      },
      {6, 4});
  const Tensor got = ops::row_lengths(targets.to(device)).to(kCpu);
  const std::vector<std::int32_t> want = {4, 4, 4, 2, 4, 0};
  for (std::size_t row = 0; row < want.size(); ++row) {
    EXPECT_EQ(got.data<std::int32_t>()[row], want[row]) << row;
  }
  EXPECT_EQ(ops::row_lengths(Tensor::full({1, 1}, 3, Dtype::kI32, device))
                .to(kCpu)
                .data<std::int32_t>()[0],
            1);
  EXPECT_EQ(ops::row_lengths(Tensor::zeros({0, 5}, Dtype::kI32, device)).numel(), 0);
}

TEST(RowLengths, EndAtTheTokenOfTheLastTarget) {
  expect_lengths(kCpu);
  EXPECT_THROW(static_cast<void>(ops::row_lengths(Tensor::zeros({4}, Dtype::kI32))), ShapeError);
  EXPECT_THROW(static_cast<void>(ops::row_lengths(Tensor::zeros({1, 4}, Dtype::kF32))), DtypeError);
}

void expect_squares(Device device) {
  for (const auto& [B, T, M] :
       {std::array<std::int64_t, 3>{1, 1, 1}, {2, 3, 7}, {3, 67, 130}, {0, 4, 3}}) {
    std::vector<std::int32_t> lengths;
    for (std::int64_t b = 0; b < B; ++b) {
      lengths.push_back(static_cast<std::int32_t>(b == 1 ? 0 : T - b));
    }
    const Tensor lengths_B = Tensor::from(lengths, {B});
    for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
      const Tensor x = test::random_normal({B, T, M}, "x").to(dtype);
      Tensor want = Tensor::full({2}, 0.5, Dtype::kF64);
      Tensor got = Tensor::full({2}, 0.5, Dtype::kF64, device);
      Tensor again = Tensor::full({2}, 0.5, Dtype::kF64, device);
      ops::row_squares(x.to(Dtype::kF64), lengths_B, want);
      ops::row_squares(x.to(device), lengths_B.to(device), got);
      ops::row_squares(x.to(device), lengths_B.to(device), again);
      EXPECT_EQ(got.to(kCpu).data<double>()[1], want.data<double>()[1]);
      test::expect_close(got.to(kCpu), want, test::tolerance(Dtype::kF32, M),
                         concat(B, " ", T, " ", M, " ", dtype));
      test::expect_bits_equal(again.to(kCpu), got.to(kCpu), "twice");
    }
  }
}

TEST(RowSquares, EqualTheDefinition) {
  test::for_each_simd_target([](std::string_view) { expect_squares(kCpu); });
  Tensor sums = Tensor::zeros({2}, Dtype::kF64);
  ops::row_squares(Tensor::full({1, 2, 3}, 2.0, Dtype::kF32), {}, sums);
  EXPECT_EQ(sums.data<double>()[0], 24.0);
  EXPECT_EQ(sums.data<double>()[1], 6.0);
  EXPECT_THROW(ops::row_squares(Tensor::zeros({1, 2, 3}, Dtype::kF32),
                                Tensor::zeros({2}, Dtype::kI32), sums),
               ShapeError);
}

class CudaRowStatistics : public test::OnCuda<> {};

TEST_F(CudaRowStatistics, EqualTheCpu) {
  expect_lengths(kCuda);
  expect_squares(kCuda);
}

}  // namespace
}  // namespace clausius
