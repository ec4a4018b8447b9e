// SPDX-License-Identifier: Apache-2.0
// Matrix products: square ones, and those of a linear layer, forward and backward.
#include "core/ops/linear/linear.h"
#include "core/ops/linear_activation/linear_activation.h"
#include "core/ops/matmul/matmul.h"
#include "core/ops/pointwise.h"
#include "train/benchmarks/micro.h"
#include "train/benchmarks/timing.h"

namespace clausius {
namespace {

MicroWork square(Device device, std::int64_t side, Dtype dtype) {
  const Tensor a = normal_values({side, side}, dtype, device);
  const Tensor b = a.clone();
  Tensor out = Tensor::empty({side, side}, dtype, device);
  const auto n = static_cast<double>(side);
  return {.run = [=]() mutable { ops::matmul(a, b, out); }, .flops = 2 * n * n * n};
}

enum class Pass { kForward, kBias, kBiasGelu, kInput, kWeight };

MicroWork layer(Device device, const LinearShape& shape, Pass pass, Dtype dtype) {
  const Tensor x = normal_values({shape.tokens, shape.inputs}, dtype, device);
  const Tensor weight = normal_values({shape.outputs, shape.inputs}, dtype, device);
  const Tensor bias = pass == Pass::kBias || pass == Pass::kBiasGelu
                          ? normal_values({shape.outputs}, Dtype::kF32, device)
                          : Tensor();
  Tensor y = normal_values({shape.tokens, shape.outputs}, dtype, device);
  MicroWork work{.run = {},
                 .flops = 2.0 * static_cast<double>(shape.tokens * shape.inputs * shape.outputs)};
  switch (pass) {
    case Pass::kForward:
    case Pass::kBias:
      work.run = [=]() mutable { ops::linear(x, weight, bias, y); };
      break;
    case Pass::kBiasGelu:
      work.run = [=] {
        (void)ops::linear_activation(x, weight, bias, ops::gelu_forward_kernels(), true);
      };
      break;
    case Pass::kInput: {
      Tensor dx = Tensor::empty(x.shape(), dtype, device);
      work.run = [=]() mutable { ops::linear_input_gradient(y, weight, dx); };
      break;
    }
    case Pass::kWeight: {
      Tensor dweight = Tensor::zeros(weight.shape(), Dtype::kF32, device);
      work.run = [=]() mutable { ops::linear_weight_gradient(y, x, dweight, true); };
      break;
    }
  }
  return work;
}

void add_products(BenchmarkList& list) {
  const Device device = list.device();
  for (const std::int64_t side : list.shapes().squares) {
    list.add(concat("matmul/", side, "x", side, "x", side),
             [=](Dtype dtype) { return square(device, side, dtype); });
  }
  for (const LinearShape& shape : list.shapes().layers) {
    for (const auto& [variant, pass] :
         {std::pair("forward", Pass::kForward), std::pair("forward_bias", Pass::kBias),
          std::pair("forward_bias_gelu", Pass::kBiasGelu), std::pair("dx", Pass::kInput),
          std::pair("dweight", Pass::kWeight)}) {
      if (pass == Pass::kBiasGelu && shape.outputs <= 3 * shape.inputs) {
        continue;  // no feed-forward's
      }
      list.add(concat("linear/", variant, "/", shape.name, "/", shape.tokens, "x", shape.inputs,
                      "x", shape.outputs),
               [=, pass = pass](Dtype dtype) { return layer(device, shape, pass, dtype); });
    }
  }
}

CLS_BENCHMARKS("products", add_products);

}  // namespace
}  // namespace clausius
