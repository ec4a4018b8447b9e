// SPDX-License-Identifier: Apache-2.0
// weight_norm and its gradients: the reference by central differences, the kernels by the reference, rows cut in pieces.
#include "core/ops/weight_norm/weight_norm.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "core/parallel.h"
#include "tests/support/cuda_test.h"
#include "tests/support/op_case.h"
#include "tests/support/random_tensor.h"
#include "tests/support/simd_targets.h"

namespace clausius {
namespace {

Tensor values(const Shape& shape, const std::string& name, Dtype dtype, Device device) {
  return test::random_normal(shape, name).to(Dtype::kF32).to(dtype).to(device);
}

struct Layer {
  Tensor v_MN;
  Tensor gain_M;
  Tensor gradient_MN;
  Tensor norm_M;
  Tensor w_MN;
  Tensor c_M;
  Tensor dgain_M;

  Layer(const Shape& shape, Dtype dtype, Device device, bool wide, Dtype w_dtype) {
    const Shape whole = {shape[0], shape[1] + (wide ? 3 : 0)};
    const auto matrix = [&](const char* name) {
      return values(whole, name, dtype, device).slice(1, 0, shape[1]);
    };
    v_MN = matrix("v");
    gradient_MN = matrix("gradient");
    gain_M = values({shape[0]}, "gain", dtype, device);
    norm_M = Tensor::empty({shape[0]}, dtype, device);
    dgain_M = Tensor::empty({shape[0]}, dtype, device);
    w_MN = Tensor::empty(shape, w_dtype, device);
    c_M = Tensor::zeros({shape[0]}, Dtype::kF64, device);
  }

  void forward() { ops::weight_norm(v_MN, gain_M, norm_M, w_MN); }
  void backward() {
    ops::weight_norm_products(v_MN, gradient_MN, c_M);
    ops::weight_norm_apply(v_MN, gain_M, norm_M, c_M, gradient_MN);
    ops::weight_norm_gain_gradient(norm_M, c_M, dgain_M);
  }
};

double dot(const Tensor& a, const Tensor& b) {
  double sum = 0;
  for (std::int64_t i = 0; i < a.numel(); ++i) {
    sum += a.data<double>()[i] * b.data<double>()[i];
  }
  return sum;
}

// The loss is <w, G>.
TEST(WeightNorm, ReferenceEqualsCentralDifferences) {
  Layer layer({5, 7}, Dtype::kF64, kCpu, false, Dtype::kF64);
  const Tensor cotangent = layer.gradient_MN.clone();
  const auto loss = [&] {
    layer.forward();
    return dot(layer.w_MN, cotangent);
  };
  static_cast<void>(loss());
  layer.backward();
  constexpr double kStep = 1e-6;
  const auto check = [&](Tensor& input, const Tensor& gradient, const char* what) {
    for (std::int64_t i = 0; i < input.numel(); ++i) {
      double& value = input.data<double>()[i];
      const double before = value;
      value = before + kStep;
      const double above = loss();
      value = before - kStep;
      const double below = loss();
      value = before;
      const double want = (above - below) / (2 * kStep);
      EXPECT_NEAR(gradient.data<double>()[i], want, 1e-7 * (1 + std::abs(want)))
          << what << ' ' << i;
    }
  };
  check(layer.v_MN, layer.gradient_MN, "v");
  check(layer.gain_M, layer.dgain_M, "gain");
}

void expect_equals_reference(Device device) {
  for (const Shape& shape :
       {Shape{1, 1}, Shape{3, 1}, Shape{1, 37}, Shape{41, 70}, Shape{7, 1031}}) {
    for (const bool wide : {false, true}) {
      for (const Dtype w_dtype : {Dtype::kF32, Dtype::kBf16}) {
        const std::string what = concat(shape, wide ? " wide " : " ", w_dtype);
        Layer got(shape, Dtype::kF32, device, wide, w_dtype);
        Layer want(shape, Dtype::kF64, kCpu, wide, Dtype::kF64);
        got.forward();
        want.forward();
        test::expect_close(got.w_MN.to(kCpu), want.w_MN, test::tolerance(w_dtype, 1, 3),
                           "w " + what);
        test::expect_close(got.norm_M.to(kCpu), want.norm_M, test::tolerance(Dtype::kF32, 1),
                           "norm " + what);
        got.backward();
        want.backward();
        test::expect_close(got.dgain_M.to(kCpu), want.dgain_M, test::tolerance(Dtype::kF32, 1, 2),
                           "dgain " + what);
        if (shape[1] > 1) {  // one column lies along the weight: rounding alone
          test::expect_close(got.gradient_MN.to(kCpu), want.gradient_MN,
                             test::tolerance(Dtype::kF32, 1, 6), "dv " + what);
        }
      }
    }
  }
}

TEST(WeightNorm, EqualsReference) {
  test::for_each_simd_target([](std::string_view) { expect_equals_reference(kCpu); });
}

TEST(WeightNorm, BitsDoNotDependOnThreads) {
  const int threads = num_threads();
  std::vector<Layer> runs;
  for (const int count : {1, 3}) {
    set_num_threads(count);
    runs.emplace_back(Shape{130, 257}, Dtype::kF32, kCpu, false, Dtype::kF32);
    runs.back().forward();
    runs.back().backward();
  }
  set_num_threads(threads);
  test::expect_bits_equal(runs[0].w_MN, runs[1].w_MN, "w");
  test::expect_bits_equal(runs[0].gradient_MN, runs[1].gradient_MN, "dv");
  test::expect_bits_equal(runs[0].dgain_M, runs[1].dgain_M, "dgain");
}

// What ranks that share a gradient do: products of parts of rows are added.
TEST(WeightNorm, ProductsOfPiecesAddUp) {
  const Layer layer({4, 9}, Dtype::kF64, kCpu, false, Dtype::kF64);
  Tensor whole = Tensor::zeros({4}, Dtype::kF64);
  Tensor parts = Tensor::zeros({4}, Dtype::kF64);
  ops::weight_norm_products(layer.v_MN, layer.gradient_MN, whole);
  ops::weight_norm_products(layer.v_MN.slice(1, 0, 4), layer.gradient_MN.slice(1, 0, 4), parts);
  ops::weight_norm_products(layer.v_MN.slice(1, 4, 9), layer.gradient_MN.slice(1, 4, 9), parts);
  test::expect_close(parts, whole, 1e-14, "c");
}

TEST(WeightNorm, MistakesAreNamed) {
  Layer layer({4, 3}, Dtype::kF32, kCpu, false, Dtype::kF32);
  Tensor short_norms = Tensor::empty({3}, Dtype::kF32);
  EXPECT_THROW(ops::weight_norm(layer.v_MN, layer.gain_M, short_norms, layer.w_MN), ShapeError);
  Tensor wide = Tensor::empty({4, 3}, Dtype::kF64);
  EXPECT_THROW(ops::weight_norm(layer.v_MN, layer.gain_M, layer.norm_M, wide), DtypeError);
}

class CudaWeightNorm : public test::OnCuda<> {};

TEST_F(CudaWeightNorm, EqualsReference) {
  expect_equals_reference(kCuda);
}

}  // namespace
}  // namespace clausius
