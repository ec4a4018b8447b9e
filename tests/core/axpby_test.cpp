// SPDX-License-Identifier: Apache-2.0
// axpby in every mix of types and strides, against plain arithmetic.
#include "core/ops/axpby/axpby.h"

#include <gtest/gtest.h>

#include "core/allocator.h"
#include "tests/support/op_case.h"
#include "tests/support/random_tensor.h"

namespace clausius {
namespace {

constexpr double kAlpha = -0.75;

// alpha x + beta y in f64.
Tensor expected(const Tensor& x, double beta, const Tensor& y) {
  Tensor want = y.to(Dtype::kF64).clone();
  const Tensor from = x.to(Dtype::kF64).contiguous();
  for (std::size_t i = 0; i < want.span<double>().size(); ++i) {
    double& value = want.span<double>()[i];
    value = kAlpha * from.span<double>()[i] + (beta == 0.0 ? 0.0 : beta * value);
  }
  return want;
}

TEST(Axpby, EqualsPlainArithmeticInEveryTypeAndLayout) {
  for (const Dtype x_dtype : {Dtype::kF64, Dtype::kF32, Dtype::kBf16}) {
    for (const Dtype y_dtype : {Dtype::kF64, Dtype::kF32, Dtype::kBf16}) {
      for (const double beta : {0.0, 1.0, 0.5}) {
        for (const bool strided : {false, true}) {
          const Tensor x = test::random_normal({37, 41}, "x").to(x_dtype);
          const Tensor before = test::random_normal({37, 41}, "y").to(y_dtype);
          Tensor whole = Tensor::zeros({41, 60}, y_dtype);
          Tensor y = strided ? whole.slice(1, 3, 40).transpose(0, 1) : before.clone();
          y.copy_from(before);
          const Tensor want = expected(x, beta, before);
          ops::axpby(kAlpha, x, beta, y);
          test::expect_close(y, want, test::tolerance(y_dtype, 1, 2),
                             concat(x_dtype, ' ', y_dtype, ' ', beta));
        }
      }
    }
  }
}

TEST(Axpby, BetaZeroIgnoresWhatWasThere) {
  const PoisonFreshMemory poison;
  const Tensor x = Tensor::full({5}, 2.0, Dtype::kF32);
  Tensor y = Tensor::empty({5}, Dtype::kF32);
  ops::axpby(3.0, x, 0.0, y);
  for (const float value : y.span<float>()) {
    EXPECT_EQ(value, 6.0F);
  }
}

TEST(Axpby, MistakesAreNamed) {
  Tensor y = Tensor::zeros({5}, Dtype::kF32);
  EXPECT_THROW(ops::axpby(1.0, Tensor::zeros({4}, Dtype::kF32), 0.0, y), ShapeError);
  EXPECT_THROW(ops::axpby(1.0, Tensor::zeros({5}, Dtype::kI32), 0.0, y), DtypeError);
}

}  // namespace
}  // namespace clausius
