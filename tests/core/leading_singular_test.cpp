// SPDX-License-Identifier: Apache-2.0
// The Lanczos start against the full decomposition and matrices whose norm is known.
#include "core/linear_algebra/leading_singular.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/parallel.h"
#include "tests/support/op_case.h"
#include "tests/support/random_tensor.h"

namespace clausius {
namespace {

constexpr RandomStream kStream{.seed = 7, .stream = 3};

double dot(const Tensor& a, const Tensor& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.span<double>().size(); ++i) {
    sum += a.span<double>()[i] * b.span<double>()[i];
  }
  return sum;
}

TEST(LeadingSingular, LanczosEqualsTheFullDecomposition) {
  const std::vector<Shape> shapes = {{1, 1},    {1, 9},    {9, 1},  {5, 5},
                                     {130, 40}, {40, 130}, {96, 96}};
  for (const Shape& shape : shapes) {
    for (const Dtype dtype : {Dtype::kF32, Dtype::kF64}) {
      const std::string what = concat(shape, " ", dtype);
      const Tensor weight = test::random_normal(shape, "weight").to(dtype);
      const LeadingSingular want = leading_singular_svd(weight, "weight");
      const LeadingSingular got = leading_singular_lanczos(weight, kStream, "weight");
      EXPECT_NEAR(got.sigma, want.sigma, 1e-9 * want.sigma) << what;
      EXPECT_NEAR(std::abs(dot(got.u_N, want.u_N)), 1.0, 1e-6) << what;
      EXPECT_NEAR(dot(got.u_N, want.u_N), dot(got.v_M, want.v_M), 1e-5) << what << ": signs";
      EXPECT_LE(got.residual, 1e-6) << what;
    }
  }
}

// Wide enough that the spectrum crowds at its upper end, where power iteration is off by a per cent after 15 steps.
TEST(LeadingSingular, FewStepsAreEnough) {
  const Tensor weight = test::random_normal({512, 128}, "tall").to(Dtype::kF32);
  const double norm = leading_singular_svd(weight, "weight").sigma;
  const LeadingSingular got =
      leading_singular_lanczos(weight, kStream, "weight", {.most_steps = 40, .tolerance = 0});
  EXPECT_EQ(got.steps, 40);
  EXPECT_NEAR(got.sigma, norm, 1e-9 * norm);
}

TEST(LeadingSingular, EndsWhereTheSpaceDoes) {
  // Rank two, with norms 50 and 0.5.
  Tensor weight = Tensor::zeros({6, 4}, Dtype::kF64);
  weight.data<double>()[1] = 30;
  weight.data<double>()[2] = 40;
  weight.data<double>()[4 * 3] = 0.5;
  const LeadingSingular got = leading_singular_lanczos(weight, kStream, "weight");
  EXPECT_NEAR(got.sigma, 50, 1e-12);
  EXPECT_LE(got.steps, 3);
  EXPECT_NEAR(std::abs(got.u_N.span<double>()[1]), 0.6, 1e-12);
  EXPECT_NEAR(std::abs(got.v_M.span<double>()[0]), 1.0, 1e-12);
}

TEST(LeadingSingular, BitsDoNotDependOnThreads) {
  const Tensor weight = test::random_normal({300, 50}, "weight").to(Dtype::kF32);
  const int threads = num_threads();
  set_num_threads(1);
  const LeadingSingular one = leading_singular_lanczos(weight, kStream, "weight");
  set_num_threads(3);
  const LeadingSingular three = leading_singular_lanczos(weight, kStream, "weight");
  set_num_threads(threads);
  EXPECT_EQ(one.sigma, three.sigma);
  test::expect_bits_equal(one.u_N, three.u_N, "u");
}

TEST(LeadingSingular, MistakesAreNamed) {
  const Tensor zero = Tensor::zeros({3, 4}, Dtype::kF32);
  const Tensor nan = Tensor::full({3, 4}, std::numeric_limits<double>::quiet_NaN(), Dtype::kF32);
  EXPECT_THROW((void)leading_singular_lanczos(zero, kStream, "w"), ConfigError);
  EXPECT_THROW((void)leading_singular_svd(zero, "w"), ConfigError);
  EXPECT_THROW((void)leading_singular_lanczos(nan, kStream, "w"), GuardError);
  EXPECT_THROW((void)leading_singular_svd(nan, "w"), GuardError);
  EXPECT_THROW((void)leading_singular_lanczos(Tensor::zeros({4}, Dtype::kF32), kStream, "w"),
               ShapeError);
}

}  // namespace
}  // namespace clausius
