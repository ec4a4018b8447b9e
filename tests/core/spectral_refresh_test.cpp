// SPDX-License-Identifier: Apache-2.0
// spectral_refresh against its f64 reference, the full decomposition and closed forms; what it makes of matrices without a norm.
#include "core/ops/spectral_refresh/spectral_refresh.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/linear_algebra/leading_singular.h"
#include "core/parallel.h"
#include "tests/support/cuda_test.h"
#include "tests/support/op_case.h"
#include "tests/support/random_tensor.h"
#include "tests/support/simd_targets.h"

namespace clausius {
namespace {

// Matrices and the state of their power iteration.
struct Spectra {
  std::vector<Tensor> weights;
  Tensor u;
  Tensor v;
  Tensor sigma;

  void refresh(int iterations = 1) { ops::spectral_refresh(weights, u, v, sigma, iterations); }
  void evaluate() { ops::spectral_evaluate(weights, u, v, sigma); }
};

// u is a unit vector for each matrix; v and sigma hold NaN.
Spectra spectra(std::vector<Tensor> weights) {
  const Dtype dtype = weights[0].dtype();
  const Device device = weights[0].device();
  std::vector<double> u;
  std::int64_t rows = 0;
  for (const Tensor& weight : weights) {
    const Tensor start =
        random_unit(weight.size(1), {.seed = 1, .stream = static_cast<std::uint32_t>(rows)});
    u.insert(u.end(), start.data<double>(), start.data<double>() + start.numel());
    rows += weight.size(0);
  }
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto count = std::ssize(weights);
  return {.weights = std::move(weights),
          .u = Tensor::from<double>(u, {std::ssize(u)}).to(Dtype::kF32).to(dtype).to(device),
          .v = Tensor::full({rows}, nan, dtype, device),
          .sigma = Tensor::full({count}, nan, dtype, device)};
}

Tensor random_matrix(const Shape& shape, const std::string& name, Dtype dtype, Device device) {
  return test::random_normal(shape, name).to(Dtype::kF32).to(dtype).to(device);
}

// More matrices than a launch takes; single rows and columns, chunks and registers not filled, rows further apart than they are long.
std::vector<Tensor> assorted(Dtype dtype, Device device) {
  std::vector<Tensor> weights;
  const std::vector<Shape> shapes = {{1, 1},  {7, 5},   {1, 37},  {41, 1},    {16, 8},
                                     {3, 70}, {64, 33}, {65, 32}, {130, 257}, {200, 19}};
  for (int i = 0; i < 43; ++i) {
    const Shape& shape = shapes[static_cast<std::size_t>(i) % (i < 10 ? 10 : 6)];
    const Tensor wide =
        random_matrix({shape[0], shape[1] + 3}, concat("weight ", i), dtype, device);
    weights.push_back(i % 2 == 0 ? wide.slice(1, 2, 2 + shape[1])
                                 : wide.slice(1, 0, shape[1]).contiguous());
  }
  return weights;
}

void expect_equals_reference(Device device) {
  for (const bool update : {true, false}) {
    Spectra got = spectra(assorted(Dtype::kF32, device));
    Spectra want = spectra(assorted(Dtype::kF64, kCpu));
    update ? got.refresh() : got.evaluate();
    update ? want.refresh() : want.evaluate();
    // Sums are f64: what is left is the rounding of the result.
    const double limit = test::tolerance(Dtype::kF32, 1);
    test::expect_close(got.sigma.to(kCpu), want.sigma, limit, "sigma");
    test::expect_close(got.u.to(kCpu), want.u, limit, "u");
    test::expect_close(got.v.to(kCpu), want.v, limit, "v");
  }
}

TEST(SpectralRefresh, EqualsReference) {
  test::for_each_simd_target([](std::string_view) { expect_equals_reference(kCpu); });
}

void expect_iterations_are_calls(Device device) {
  Spectra together = spectra(assorted(Dtype::kF32, device));
  Spectra apart = spectra(assorted(Dtype::kF32, device));
  together.refresh(3);
  for (int i = 0; i < 3; ++i) {
    apart.refresh();
  }
  test::expect_bits_equal(together.u.to(kCpu), apart.u.to(kCpu), "u");
  test::expect_bits_equal(together.v.to(kCpu), apart.v.to(kCpu), "v");
  test::expect_bits_equal(together.sigma.to(kCpu), apart.sigma.to(kCpu), "sigma");
}

TEST(SpectralRefresh, IterationsEqualCalls) {
  expect_iterations_are_calls(kCpu);
}

void expect_rank_one_is_exact(Device device) {
  const std::vector<float> a = {1, -2, 3, 0, 5};
  const std::vector<float> b = {2, 7, -1};
  std::vector<float> weight;
  for (const float left : a) {
    for (const float right : b) {
      weight.push_back(left * right);
    }
  }
  Spectra s = spectra({Tensor::from<float>(weight, {5, 3}).to(device)});
  s.refresh();
  const double want = std::sqrt(39.0) * std::sqrt(54.0);
  EXPECT_NEAR(s.sigma.to(kCpu).span<float>()[0], want, want * 0x1p-23);
  const Tensor u = s.u.to(kCpu);
  const float sign = u.span<float>()[0] > 0 ? 1.0F : -1.0F;
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(u.span<float>()[i], sign * b[i] / std::sqrt(54.0F), 0x1p-23);
  }
}

TEST(SpectralRefresh, RankOneIsExactAfterOneIteration) {
  expect_rank_one_is_exact(kCpu);
}

void expect_rising(Device device) {
  const Tensor weight = random_matrix({48, 31}, "rising", Dtype::kF32, kCpu);
  const double norm = leading_singular_svd(weight, "weight").sigma;
  Spectra s = spectra({weight.to(device)});
  double before = 0;
  for (int i = 0; i < 200; ++i) {
    s.refresh();
    const double sigma = s.sigma.to(kCpu).span<float>()[0];
    // u is rounded to f32 once an iteration.
    EXPECT_GE(sigma, before * (1 - 0x1p-22)) << "iteration " << i;
    EXPECT_LE(sigma, norm * (1 + 0x1p-23)) << "iteration " << i;
    before = sigma;
  }
  EXPECT_NEAR(before, norm, 1e-5 * norm);
}

TEST(SpectralRefresh, RisesToTheNormAndNeverAbove) {
  expect_rising(kCpu);
}

// A matrix without a norm says so and leaves its u and its neighbours alone.
void expect_refusals(Device device) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const Tensor good = random_matrix({4, 3}, "good", Dtype::kF32, device);
  const auto filled = [&](double value) {
    return Tensor::full({4, 3}, value, Dtype::kF32, device);
  };
  // One column, which u does not see.
  const Tensor hidden =
      Tensor::from<float>(std::vector<float>{0, 0, 1, 0, 0, 2, 0, 0, 3, 0, 0, 4}, {4, 3})
          .to(device);
  Spectra s = spectra({good, filled(0), hidden, filled(kNan), filled(kInf), filled(3e38), good});
  s.u.slice(0, 6, 9).copy_from(
      Tensor::from<float>(std::vector<float>{0.6F, 0.8F, 0}, {3}).to(device));
  for (const bool update : {true, false}) {
    const Tensor u = s.u.to(kCpu).clone();
    update ? s.refresh() : s.evaluate();
    const Tensor sigma = s.sigma.to(kCpu);
    const auto at = [&](std::size_t e) { return sigma.span<float>()[e]; };
    EXPECT_GT(at(0), 0);
    EXPECT_EQ(at(1), 0);
    EXPECT_EQ(at(2), 0);
    EXPECT_TRUE(std::isnan(at(3)));
    EXPECT_TRUE(std::isnan(at(4)));
    EXPECT_FALSE(std::isnan(at(5)));
    EXPECT_GT(at(6), 0);
    test::expect_bits_equal(s.u.to(kCpu).slice(0, 3, 15), u.slice(0, 3, 15), "u");
    const Tensor v = s.v.to(kCpu).slice(0, 4, 20);
    for (const float value : v.span<float>()) {
      EXPECT_EQ(value, 0);
    }
  }
}

TEST(SpectralRefresh, MatricesWithoutANormAreToldApart) {
  test::for_each_simd_target([](std::string_view) { expect_refusals(kCpu); });
}

TEST(SpectralRefresh, CheckNamesTheMatrix) {
  const std::vector<std::string> names = {"blocks.0.qkv", "blocks.0.out"};
  const auto message = [&](float second) {
    try {
      ops::check_sigmas(Tensor::from<float>(std::vector<float>{1, second}, {2}), names);
    } catch (const GuardError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(message(0.5F), "");
  EXPECT_THAT(message(0), ::testing::HasSubstr("blocks.0.out: the spectral norm is 0"));
  EXPECT_THAT(message(std::numeric_limits<float>::quiet_NaN()),
              ::testing::HasSubstr("blocks.0.out: the spectral norm is not finite"));
  EXPECT_THAT(message(std::numeric_limits<float>::infinity()),
              ::testing::HasSubstr("blocks.0.out: the spectral norm is not finite"));
}

TEST(SpectralRefresh, BitsDoNotDependOnThreads) {
  const int threads = num_threads();
  std::vector<Spectra> runs;
  for (const int count : {1, 3}) {
    set_num_threads(count);
    runs.push_back(spectra(assorted(Dtype::kF32, kCpu)));
    runs.back().refresh(2);
  }
  set_num_threads(threads);
  test::expect_bits_equal(runs[0].u, runs[1].u, "u");
  test::expect_bits_equal(runs[0].v, runs[1].v, "v");
  test::expect_bits_equal(runs[0].sigma, runs[1].sigma, "sigma");
}

TEST(SpectralRefresh, MistakesAreNamed) {
  Spectra s = spectra({random_matrix({4, 3}, "weight", Dtype::kF32, kCpu)});
  EXPECT_THROW(s.refresh(0), ConfigError);
  Spectra transposed = s;
  transposed.weights[0] = s.weights[0].transpose(0, 1);
  EXPECT_THROW(transposed.refresh(), ShapeError);
  Spectra shorter = s;
  shorter.u = s.u.slice(0, 0, 2);
  EXPECT_THROW(shorter.refresh(), ShapeError);
  Spectra wide = s;
  wide.v = s.v.to(Dtype::kF64);
  EXPECT_THROW(wide.refresh(), DtypeError);
  Spectra empty = s;
  empty.weights[0] = Tensor::zeros({0, 3}, Dtype::kF32);
  EXPECT_THROW(empty.refresh(), ShapeError);
}

class CudaSpectralRefresh : public test::OnCuda<> {};

TEST_F(CudaSpectralRefresh, EqualsReference) {
  expect_equals_reference(kCuda);
}
TEST_F(CudaSpectralRefresh, IterationsEqualCalls) {
  expect_iterations_are_calls(kCuda);
}
TEST_F(CudaSpectralRefresh, RankOneIsExactAfterOneIteration) {
  expect_rank_one_is_exact(kCuda);
}
TEST_F(CudaSpectralRefresh, RisesToTheNormAndNeverAbove) {
  expect_rising(kCuda);
}
TEST_F(CudaSpectralRefresh, MatricesWithoutANormAreToldApart) {
  expect_refusals(kCuda);
}

}  // namespace
}  // namespace clausius
