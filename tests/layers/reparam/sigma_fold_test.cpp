// SPDX-License-Identifier: Apache-2.0
// Folding: the norm of what is shipped, and that it is what evaluation multiplied by.
#include "layers/reparam/sigma_fold.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "core/linear_algebra/leading_singular.h"
#include "core/ops/linear/linear.h"
#include "core/ops/spectral_refresh/spectral_refresh.h"
#include "tests/support/op_case.h"
#include "tests/support/random_tensor.h"

namespace clausius {
namespace {

TEST(SigmaFold, ExactHasGammaForItsNorm) {
  const Tensor weight = test::random_normal({70, 40}, "weight").to(Dtype::kF32);
  for (const double gamma : {1.5, -0.25}) {
    const Tensor folded =
        fold_sigma(weight, Tensor::full({1}, gamma, Dtype::kF32), {}, SigmaFold::kExact, "weight");
    EXPECT_EQ(folded.dtype(), Dtype::kF32);
    // Rounding to f32 moves the norm by at most its unit times the norm of the rounded part.
    EXPECT_NEAR(leading_singular_svd(folded, "folded").sigma, std::abs(gamma),
                std::abs(gamma) * 0x1p-23);
    EXPECT_EQ(folded.span<float>()[3] * weight.span<float>()[3] > 0, gamma > 0);
  }
}

// gamma = sigma of the start: the folded weight is the weight.
TEST(SigmaFold, GammaEqualToTheNormGivesTheWeightBack) {
  const Tensor weight = test::random_normal({33, 17}, "weight").to(Dtype::kF32);
  const double sigma = leading_singular_svd(weight, "weight").sigma;
  const Tensor folded =
      fold_sigma(weight, Tensor::full({1}, sigma, Dtype::kF32), {}, SigmaFold::kExact, "weight");
  test::expect_close(folded, weight.to(Dtype::kF64), test::tolerance(Dtype::kF32, 1, 2), "weight");
}

TEST(SigmaFold, RunningIsWhatEvaluationMultipliedBy) {
  const std::vector<Tensor> weights = {test::random_normal({30, 20}, "weight").to(Dtype::kF32)};
  Tensor u = random_unit(20, {.seed = 3}).to(Dtype::kF32);
  Tensor v = Tensor::empty({30}, Dtype::kF32);
  Tensor sigma = Tensor::empty({1}, Dtype::kF32);
  Tensor refined = u.clone();
  ops::spectral_refresh(weights, refined, v, sigma);
  const Tensor x = test::random_normal({5, 20}, "x").to(Dtype::kF32);
  const Tensor alpha =
      Tensor::full({1}, 0.5 / static_cast<double>(sigma.span<float>()[0]), Dtype::kF32);
  const Tensor folded =
      fold_sigma(weights[0], Tensor::full({}, 0.5, Dtype::kF32), u, SigmaFold::kRunning, "weight");
  test::expect_close(ops::linear(x, folded), ops::linear(x, weights[0], {}, alpha).to(Dtype::kF64),
                     test::tolerance(Dtype::kF32, 20, 3), "y");
  EXPECT_GT(leading_singular_svd(folded, "folded").sigma, 0.5) << "u had not converged";
}

TEST(SigmaFold, WeightsWithoutANormAreNamed) {
  const Tensor gamma = Tensor::full({1}, 1.0, Dtype::kF32);
  const Tensor zero = Tensor::zeros({3, 2}, Dtype::kF32);
  const Tensor u = random_unit(2, {}).to(Dtype::kF32);
  EXPECT_THROW((void)fold_sigma(zero, gamma, u, SigmaFold::kExact, "w"), ConfigError);
  EXPECT_THROW((void)fold_sigma(zero, gamma, u, SigmaFold::kRunning, "w"), GuardError);
  EXPECT_THROW((void)fold_sigma(zero, {}, u, SigmaFold::kExact, "w"), ShapeError);
}

}  // namespace
}  // namespace clausius
