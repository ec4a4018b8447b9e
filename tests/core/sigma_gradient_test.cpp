// SPDX-License-Identifier: Apache-2.0
// linear with alpha and sigma_finish_gradients: central differences with u and v held, the identities of the page, both backends.
#include "core/ops/sigma_gradient/sigma_gradient.h"

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "autograd/gradcheck.h"
#include "autograd/rules/linear.h"
#include "autograd/tape.h"
#include "core/linear_algebra/leading_singular.h"
#include "core/ops/linear/linear.h"
#include "core/ops/matmul/matmul.h"
#include "core/ops/sigma_gain/sigma_gain.h"
#include "core/ops/spectral_refresh/spectral_refresh.h"
#include "core/parallel.h"
#include "tests/support/cuda_test.h"
#include "tests/support/op_case.h"
#include "tests/support/random_tensor.h"
#include "tests/support/simd_targets.h"

namespace clausius {
namespace {

struct Matrices {
  std::vector<Tensor> weights;
  std::vector<ops::SigmaMatrix> parts;
  Tensor u;
  Tensor v;
  Tensor sigma;
  Tensor c;
  std::vector<Tensor> dgammas;

  // The matrices' views of u, v, sigma and c.
  void connect() {
    std::int64_t row = 0;
    std::int64_t column = 0;
    for (std::size_t e = 0; e < parts.size(); ++e) {
      const auto at = static_cast<std::int64_t>(e);
      parts[e].u_N = u.slice(0, column, column + weights[e].size(1));
      parts[e].v_M = v.slice(0, row, row + weights[e].size(0));
      parts[e].sigma = sigma.slice(0, at, at + 1);
      parts[e].c_S = c.select(0, at);
      column += weights[e].size(1);
      row += weights[e].size(0);
    }
  }
  void finish(bool through = true) {
    ops::sigma_finish_gradients(parts, through);
    ops::sigma_gain_gradients(dgammas, sigma, c);
  }
};

// Values that every type of the test holds exactly.
Tensor values(const Shape& shape, const std::string& name, Dtype dtype, Device device) {
  return test::random_normal(shape, name).to(Dtype::kF32).to(dtype).to(device);
}

// u is far from converged. With `wide`, weights and gradients are parts of wider rows.
Matrices matrices(const std::vector<Shape>& shapes, Dtype dtype, Device device, bool wide) {
  Matrices all;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  for (std::size_t e = 0; e < shapes.size(); ++e) {
    const auto matrix = [&](const char* name) {
      const Shape shape = {shapes[e][0], shapes[e][1] + (wide ? 3 : 0)};
      return values(shape, concat(name, e), dtype, device).slice(1, 0, shapes[e][1]);
    };
    const Tensor gamma = Tensor::full({1}, e % 3 == 2 ? -0.75 : 1.25, dtype, device);
    all.weights.push_back(matrix("weight"));
    all.parts.push_back(
        {.weight_MN = all.weights.back(), .gradient_MN = matrix("gradient"), .gamma = gamma});
    all.dgammas.push_back(
        Tensor::full({}, std::numeric_limits<double>::quiet_NaN(), dtype, device));
    rows += shapes[e][0];
    columns += shapes[e][1];
  }
  all.u = values({columns}, "u", dtype, device);
  all.v = Tensor::empty({rows}, dtype, device);
  all.sigma = Tensor::empty({std::ssize(shapes)}, dtype, device);
  all.c = Tensor::zeros({std::ssize(shapes), 1}, Dtype::kF64, device);
  ops::spectral_refresh(all.weights, all.u, all.v, all.sigma);
  all.connect();
  return all;
}

std::vector<Shape> assorted_shapes() {
  std::vector<Shape> shapes = {{1, 1}, {7, 5}, {1, 37}, {41, 1}, {33, 70}, {130, 257}};
  for (std::int64_t i = 0; i < 38; ++i) {
    shapes.push_back({1 + i % 18, 3 + i});
  }
  return shapes;
}

void copy_state(Matrices& to, const Matrices& from) {
  to.u = from.u.to(kCpu).to(Dtype::kF64);
  to.v = from.v.to(kCpu).to(Dtype::kF64);
  to.sigma = from.sigma.to(kCpu).to(Dtype::kF64);
  to.connect();
}

void expect_equals_reference(Device device) {
  for (const bool wide : {false, true}) {
    for (const bool through : {true, false}) {
      Matrices got = matrices(assorted_shapes(), Dtype::kF32, device, wide);
      Matrices want = matrices(assorted_shapes(), Dtype::kF64, kCpu, wide);
      copy_state(want, got);
      got.finish(through);
      want.finish(through);
      for (std::size_t e = 0; e < got.parts.size(); ++e) {
        // The product with u, the product with alpha and the factors, each rounded to f32.
        const double limit = test::tolerance(Dtype::kF32, 1, 4);
        // One element lies along the weight: rounding alone, which NothingAlongTheWeight bounds.
        if (got.parts[e].weight_MN.numel() > 1 || !through) {
          test::expect_close(got.parts[e].gradient_MN.to(kCpu), want.parts[e].gradient_MN, limit,
                             concat("gradient ", e));
        }
        test::expect_close(got.dgammas[e].to(kCpu), want.dgammas[e],
                           test::tolerance(Dtype::kF32, 1), concat("dgamma ", e));
      }
    }
  }
}

TEST(SigmaGradient, EqualsReference) {
  test::for_each_simd_target([](std::string_view) { expect_equals_reference(kCpu); });
}

double dot(const Tensor& a, const Tensor& b) {
  const Tensor left = a.to(kCpu).to(Dtype::kF64).contiguous();
  const Tensor right = b.to(kCpu).to(Dtype::kF64).contiguous();
  double sum = 0;
  for (std::size_t i = 0; i < left.span<double>().size(); ++i) {
    sum += left.span<double>()[i] * right.span<double>()[i];
  }
  return sum;
}

void expect_no_gradient_along_the_weight(Device device) {
  Matrices all = matrices(assorted_shapes(), Dtype::kF32, device, false);
  all.finish();
  for (const ops::SigmaMatrix& m : all.parts) {
    const double lengths =
        std::sqrt(dot(m.gradient_MN, m.gradient_MN) * dot(m.weight_MN, m.weight_MN));
    // A 1 x 1 matrix has no other direction: its gradient is rounding alone.
    const double scale = m.weight_MN.numel() == 1 ? 4.0 : lengths;
    EXPECT_LE(std::abs(dot(m.gradient_MN, m.weight_MN)), 32 * 0x1p-24 * scale)
        << m.weight_MN.shape();
  }
}

TEST(SigmaGradient, NothingAlongTheWeight) {
  expect_no_gradient_along_the_weight(kCpu);
}

TEST(SigmaGradient, BitsDoNotDependOnThreads) {
  const int threads = num_threads();
  std::vector<Matrices> runs;
  for (const int count : {1, 3}) {
    set_num_threads(count);
    runs.push_back(matrices(assorted_shapes(), Dtype::kF32, kCpu, false));
    runs.back().finish();
  }
  set_num_threads(threads);
  for (std::size_t e = 0; e < runs[0].parts.size(); ++e) {
    test::expect_bits_equal(runs[0].parts[e].gradient_MN, runs[1].parts[e].gradient_MN, "gradient");
    test::expect_bits_equal(runs[0].dgammas[e], runs[1].dgammas[e], "dgamma");
  }
}

TEST(SigmaGradient, MistakesAreNamed) {
  const Matrices good = matrices({{4, 3}}, Dtype::kF32, kCpu, false);
  Matrices narrow = good;
  narrow.parts[0].gradient_MN = good.parts[0].gradient_MN.slice(1, 0, 2);
  EXPECT_THROW(narrow.finish(), ShapeError);
  Matrices wide = good;
  wide.parts[0].gamma = good.parts[0].gamma.to(Dtype::kF64);
  EXPECT_THROW(wide.finish(), DtypeError);
  Matrices vector = good;
  vector.parts[0].gamma = Tensor::zeros({2}, Dtype::kF32);
  EXPECT_THROW(vector.finish(), ShapeError);
  Matrices state = good;
  state.parts[0].u_N = good.u.slice(0, 0, 2);
  EXPECT_THROW(state.finish(), ShapeError);
}

// One layer in f64 whose loss is <y, cotangent>, u and v held.
struct Layer {
  Tensor x = test::random_normal({6, 5}, "x");
  Tensor weight = test::random_normal({4, 5}, "weight");
  Tensor bias = test::random_normal({4}, "bias");
  Tensor gamma = Tensor::full({1}, 0.7, Dtype::kF64);
  Tensor u = random_unit(5, {.seed = 1});
  Tensor v = random_unit(4, {.seed = 2});

  [[nodiscard]] double sigma() const {
    return dot(ops::matmul(weight, u.reshape({5, 1})), v.reshape({4, 1}));
  }
  [[nodiscard]] Tensor alpha() const {
    return Tensor::full({1}, gamma.item() / sigma(), Dtype::kF64);
  }
  [[nodiscard]] double loss() const {
    const Tensor y = ops::linear(x, weight, bias, alpha());
    return dot(y, cotangent(y, 0));
  }

  struct Gradients {
    Tensor x;
    Tensor weight;
    Tensor bias;
    Tensor gamma = Tensor::empty({1}, Dtype::kF64);
  };
  // `parts` micro-batches of the rows, their G added before the one correction.
  [[nodiscard]] Gradients gradients(int parts = 1, bool through = true) const {
    Gradients out{.x = Tensor::empty(x.shape(), Dtype::kF64),
                  .weight = Tensor::zeros(weight.shape(), Dtype::kF64),
                  .bias = {}};
    const std::int64_t rows = x.size(0) / parts;
    const Tensor all = cotangent(Tensor::empty({6, 4}, Dtype::kF64), 0);
    for (std::int64_t begin = 0; begin < x.size(0); begin += rows) {
      Tape tape;
      const Variable part = tape.watch(x.slice(0, begin, begin + rows));
      const Variable w = tape.watch(weight);
      const Variable b = tape.watch(bias);
      const RowScales scales = {{.rows = 4, .alpha = alpha()}};
      tape.backward(linear(part, w, b, scales), all.slice(0, begin, begin + rows));
      out.x.slice(0, begin, begin + rows).copy_from(tape.gradient(part));
      for (std::size_t i = 0; i < 20; ++i) {
        out.weight.span<double>()[i] += tape.gradient(w).span<double>()[i];
      }
      out.bias = tape.gradient(b);
    }
    const Tensor norm = Tensor::full({1}, sigma(), Dtype::kF64);
    const Tensor c = Tensor::zeros({1, 1}, Dtype::kF64);
    const std::vector<ops::SigmaMatrix> matrix = {{.weight_MN = weight,
                                                   .gradient_MN = out.weight,
                                                   .u_N = u,
                                                   .v_M = v,
                                                   .sigma = norm,
                                                   .gamma = gamma,
                                                   .c_S = c.select(0, 0)}};
    ops::sigma_finish_gradients(matrix, through);
    const std::vector<Tensor> dgammas = {out.gamma};
    ops::sigma_gain_gradients(dgammas, norm, c);
    return out;
  }
};

void expect_central_differences(Layer& layer,
                                Tensor& input,
                                const Tensor& gradient,
                                const char* what) {
  constexpr double kStep = 1e-6;
  for (std::size_t i = 0; i < input.span<double>().size(); ++i) {
    double& value = input.span<double>()[i];
    const double before = value;
    value = before + kStep;
    const double above = layer.loss();
    value = before - kStep;
    const double below = layer.loss();
    value = before;
    const double want = (above - below) / (2 * kStep);
    EXPECT_NEAR(gradient.span<double>()[i], want, 1e-6 * (1 + std::abs(want))) << what << ' ' << i;
  }
}

// u and v are random: the gradient is that of v^T W u, converged or not.
TEST(SigmaLinear, EqualsCentralDifferencesWithUAndVHeld) {
  Layer layer;
  ASSERT_GT(std::abs(layer.sigma()), 0.05);
  const Layer::Gradients gradients = layer.gradients();
  expect_central_differences(layer, layer.x, gradients.x, "x");
  expect_central_differences(layer, layer.weight, gradients.weight, "weight");
  expect_central_differences(layer, layer.bias, gradients.bias, "bias");
  expect_central_differences(layer, layer.gamma, gradients.gamma, "gamma");
  EXPECT_NEAR(dot(gradients.weight, layer.weight), 0,
              1e-12 * std::sqrt(dot(gradients.weight, gradients.weight)));
}

TEST(SigmaLinear, MicroBatchesEqualOneBatch) {
  const Layer layer;
  const Layer::Gradients one = layer.gradients(1);
  const Layer::Gradients three = layer.gradients(3);
  test::expect_close(three.weight, one.weight, 1e-13, "weight");
  test::expect_close(three.gamma, one.gamma, 1e-13, "gamma");
}

TEST(SigmaLinear, WithoutTheRankOneTermTheGradientIsScaled) {
  const Layer layer;
  const Layer::Gradients plain = layer.gradients(1, /*through=*/false);
  Tensor want = ops::matmul(cotangent(Tensor::empty({6, 4}, Dtype::kF64), 0).transpose(0, 1),
                            layer.x, layer.alpha().item());
  test::expect_close(plain.weight, want, 1e-14, "weight");
  test::expect_close(plain.gamma, layer.gradients().gamma, 1e-14, "gamma");
}

TEST(SigmaLinear, ScalingTheWeightChangesNothingButItsGradientsLength) {
  Layer layer;
  const double loss = layer.loss();
  const Layer::Gradients before = layer.gradients();
  for (double& value : layer.weight.span<double>()) {
    value *= 8;
  }
  EXPECT_EQ(layer.loss(), loss);
  const Layer::Gradients after = layer.gradients();
  test::expect_bits_equal(after.x, before.x, "x");
  test::expect_bits_equal(after.gamma, before.gamma, "gamma");
  for (std::size_t i = 0; i < 20; ++i) {
    EXPECT_EQ(after.weight.span<double>()[i] * 8, before.weight.span<double>()[i]);
  }
}

// alpha in the product against a scaled copy of the weight.
void expect_equals_materialised(Device device) {
  constexpr double kAlpha = 0.37;
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
    for (const std::int64_t rows : {1, 2, 37, 130}) {
      for (const bool with_bias : {true, false}) {
        const std::string what = concat(dtype, ' ', rows, with_bias ? " rows, bias" : " rows");
        const Tensor x = values({rows, 48}, "x", dtype, device);
        const Tensor weight = values({64, 48}, "weight", dtype, device);
        const Tensor bias = with_bias ? values({64}, "bias", Dtype::kF32, device) : Tensor();
        const Tensor dy = values({rows, 64}, "dy", dtype, device);
        const auto wide = [](const Tensor& t) { return t ? t.to(kCpu).to(Dtype::kF64) : t; };
        Tensor scaled = wide(weight).clone();
        for (double& value : scaled.span<double>()) {
          value *= static_cast<double>(static_cast<float>(kAlpha));
        }
        Tensor dx = Tensor::empty(x.shape(), dtype, device);
        const Tensor alpha = Tensor::full({1}, kAlpha, Dtype::kF32, device);
        ops::linear_input_gradient(dy, weight, dx, false, alpha);
        test::expect_close(ops::linear(x, weight, bias, alpha).to(kCpu),
                           ops::linear(wide(x), scaled, wide(bias)), test::tolerance(dtype, 48),
                           "y " + what);
        test::expect_close(dx.to(kCpu), ops::matmul(wide(dy), scaled), test::tolerance(dtype, 64),
                           "dx " + what);
      }
    }
  }
}

TEST(SigmaLinear, EqualsTheMaterialisedWeight) {
  expect_equals_materialised(kCpu);
}

class CudaSigma : public test::OnCuda<> {};

TEST_F(CudaSigma, GradientEqualsReference) {
  expect_equals_reference(kCuda);
}
TEST_F(CudaSigma, NothingAlongTheWeight) {
  expect_no_gradient_along_the_weight(kCuda);
}
TEST_F(CudaSigma, LinearEqualsTheMaterialisedWeight) {
  expect_equals_materialised(kCuda);
}

}  // namespace
}  // namespace clausius
