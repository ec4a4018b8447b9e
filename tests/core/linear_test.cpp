// SPDX-License-Identifier: Apache-2.0
// linear and linear_activation: case tables against the f64 reference, and the order-independent bias gradient.
#include "core/ops/linear/linear.h"

#include <gtest/gtest.h>

#include "autograd/rules/linear.h"
#include "autograd/rules/linear_activation.h"
#include "core/ops/linear_activation/linear_activation.h"
#include "core/ops/pointwise.h"
#include "core/parallel.h"
#include "tests/support/cuda_test.h"
#include "tests/support/op_case.h"
#include "tests/support/random_tensor.h"

namespace clausius {
namespace {

using test::OpCase;

std::vector<Variable> linear_of(const std::vector<Variable>& in) {
  return {linear(in[0], in[1], in.size() > 2 ? in[2] : Variable())};
}

OpCase row(const std::string& name, const Shape& x, std::int64_t outputs, bool bias) {
  OpCase op_case{
      .name = name, .inputs = {{.shape = x}, {.shape = {outputs, x[-1]}}}, .fn = linear_of};
  if (bias) {
    op_case.inputs.push_back({.shape = {outputs}, .keep_f32 = true});
  }
  op_case.reduction = std::max({x.numel() / std::max<std::int64_t>(1, x[-1]), x[-1], outputs});
  return op_case;
}

CLS_OP_CASES(linear,
             {row("scalar", {1, 1}, 1, true), row("vector", {7}, 5, true),
              row("no_bias", {3, 5}, 2, false), row("batch", {2, 3, 4, 5}, 3, true),
              row("prime", {37, 41}, 43, true), row("over_a_block", {259, 17}, 67, true),
              row("one_output", {19, 23}, 1, true), row("one_input", {19, 1}, 23, true),
              row("no_rows", {0, 5}, 3, true), row("no_outputs", {2, 5}, 0, true),
              row("no_inputs", {3, 0}, 4, true)});

OpCase activated(OpCase op_case,
                 const ops::PointwiseForwardTable& forward,
                 const ops::PointwiseBackwardTable& backward) {
  op_case.name += concat("_", forward.op());
  op_case.fn = [&forward, &backward](const std::vector<Variable>& in) {
    return std::vector{linear_activation(in[0], in[1], in.size() > 2 ? in[2] : Variable(),
                                         PointwiseOp{forward, backward})};
  };
  op_case.roundings = 3;  // x W^T + b, the derivative's product with dy, and the result
  return op_case;
}

std::vector<OpCase> activated_rows() {
  std::vector<OpCase> rows;
  for (const OpCase& plain :
       {row("scalar", {1, 1}, 1, true), row("vector", {7}, 5, true),
        row("no_bias", {3, 5}, 2, false), row("batch", {2, 3, 4, 5}, 3, true),
        row("prime", {37, 41}, 43, true), row("over_a_block", {259, 17}, 67, true),
        row("no_rows", {0, 5}, 3, true), row("no_outputs", {2, 5}, 0, true),
        row("no_inputs", {3, 0}, 4, true)}) {
    rows.push_back(activated(plain, ops::gelu_forward_kernels(), ops::gelu_backward_kernels()));
    rows.push_back(
        activated(plain, ops::gelu_erf_forward_kernels(), ops::gelu_erf_backward_kernels()));
    rows.push_back(activated(plain, ops::silu_forward_kernels(), ops::silu_backward_kernels()));
  }
  return rows;
}

CLS_OP_CASES(linear_activation, (activated_rows()));

// What is kept for the backward pass, and that it changes nothing.
TEST(LinearActivation, InPlaceGivesTheSameBits) {
  for (const Dtype dtype : {Dtype::kF64, Dtype::kF32, Dtype::kBf16}) {
    const Tensor x = test::random_normal({33, 17}, "x").to(dtype);
    const Tensor weight = test::random_normal({19, 17}, "weight").to(dtype);
    const auto kept =
        ops::linear_activation(x, weight, {}, ops::gelu_forward_kernels(), /*keep_pre=*/true);
    const auto plain =
        ops::linear_activation(x, weight, {}, ops::gelu_forward_kernels(), /*keep_pre=*/false);
    EXPECT_FALSE(plain.pre.defined());
    test::expect_bits_equal(plain.y, kept.y, concat("y ", dtype));
    test::expect_bits_equal(kept.pre, ops::linear(x, weight), concat("pre ", dtype));
    test::expect_bits_equal(kept.y, ops::gelu(kept.pre), concat("in turn ", dtype));
  }
}

void expect_bias_before_rounding(Device device,
                                 std::int64_t rows,
                                 std::int64_t inner,
                                 std::int64_t columns) {
  // 1 + bias lies above the middle of two bf16 numbers, 1 + bf16(bias) on it.
  const float bias = 0x1p-8F + 0x1p-18F;
  const Tensor x =
      Tensor::full({rows, inner}, 1.0 / static_cast<double>(inner), Dtype::kBf16, device);
  const Tensor weight = Tensor::full({columns, inner}, 1.0, Dtype::kBf16, device);
  const Tensor bias_N = Tensor::full({columns}, bias, Dtype::kF32, device);
  const Tensor y = ops::linear(x, weight, bias_N).to(kCpu);
  const Tensor pre =
      ops::linear_activation(x, weight, bias_N, ops::relu_forward_kernels(), /*keep_pre=*/true)
          .pre.to(kCpu);
  for (const Tensor& got : {y, pre}) {
    std::string wrong;
    for (std::int64_t i = 0; i < got.numel() && wrong.size() < 80; ++i) {
      if (static_cast<float>(got.data<bf16>()[i]) != 1 + 0x1p-7F) {
        wrong += concat(' ', i / columns, ',', i % columns);
      }
    }
    EXPECT_EQ(wrong, "") << rows << " rows of " << columns
                         << ": elements that lost the bias's rest";
  }
}

void expect_bias_before_rounding(Device device) {
  for (const std::int64_t rows : {1, 2, 70, 256}) {
    for (const std::int64_t inner : {1, 8, 64}) {
      for (const std::int64_t columns : {1, 9, 16, 768}) {
        expect_bias_before_rounding(device, rows, inner, columns);
      }
    }
  }
}

TEST(Linear, BiasIsAddedBeforeTheOneRounding) {
  expect_bias_before_rounding(kCpu);
}

class CudaLinear : public test::OnCuda<> {};

TEST_F(CudaLinear, BiasIsAddedBeforeTheOneRounding) {
  expect_bias_before_rounding(kCuda);
}

TEST(Linear, GradientsAddToTheBuffer) {
  const Tensor x = test::random_normal({6, 5}, "x").to(Dtype::kF32);
  const Tensor dy = test::random_normal({6, 4}, "dy").to(Dtype::kF32);
  Tensor dweight = Tensor::empty({4, 5}, Dtype::kF32);
  Tensor dbias = Tensor::empty({4}, Dtype::kF32);
  ops::linear_weight_gradient(dy, x, dweight);
  ops::linear_bias_gradient(dy, dbias);
  const Tensor once_weight = dweight.clone();
  const Tensor once_bias = dbias.clone();
  ops::linear_weight_gradient(dy, x, dweight, true);
  ops::linear_bias_gradient(dy, dbias, true);
  for (std::size_t i = 0; i < 20; ++i) {
    EXPECT_NEAR(dweight.span<float>()[i], 2 * once_weight.span<float>()[i], 1e-5);
  }
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(dbias.span<float>()[i], 2 * once_bias.span<float>()[i], 1e-5);
  }
}

TEST(Linear, BiasGradientBitsDoNotDependOnThreads) {
  const Tensor dy = test::random_normal({1500, 33}, "dy").to(Dtype::kF32);
  const int threads = num_threads();
  Tensor one = Tensor::empty({33}, Dtype::kF32);
  Tensor three = Tensor::empty({33}, Dtype::kF32);
  set_num_threads(1);
  ops::linear_bias_gradient(dy, one);
  set_num_threads(3);
  ops::linear_bias_gradient(dy, three);
  set_num_threads(threads);
  test::expect_bits_equal(one, three, "bias gradient with 1 and 3 threads");
}

TEST(Linear, MistakesAreNamed) {
  const Tensor x = Tensor::zeros({2, 3}, Dtype::kF32);
  EXPECT_THROW((void)ops::linear(x, Tensor::zeros({4, 2}, Dtype::kF32)), ShapeError);
  EXPECT_THROW(
      (void)ops::linear(x, Tensor::zeros({4, 3}, Dtype::kF32), Tensor::zeros({3}, Dtype::kF32)),
      ShapeError);
  EXPECT_THROW((void)ops::linear(x, Tensor::zeros({4, 3}, Dtype::kBf16)), DtypeError);
}

}  // namespace
}  // namespace clausius
