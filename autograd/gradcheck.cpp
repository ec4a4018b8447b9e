// SPDX-License-Identifier: Apache-2.0
// Central differences over chosen elements.
#include "autograd/gradcheck.h"

#include <algorithm>
#include <cmath>

#include "autograd/tape.h"
#include "core/error.h"
#include "core/random.h"

namespace clausius {
namespace {

bool differentiable(const Tensor& tensor) {
  return tensor.defined() && tensor.dtype() == Dtype::kF64;
}

double weighted_sum(const DifferentiableFn& fn, const std::vector<Tensor>& inputs) {
  std::vector<Variable> constants;
  for (const Tensor& input : inputs) {
    constants.emplace_back(input);
  }
  double total = 0;
  const std::vector<Variable> outputs = fn(constants);
  for (std::size_t k = 0; k < outputs.size(); ++k) {
    if (!differentiable(outputs[k].value())) {
      continue;
    }
    const Tensor y = outputs[k].value().contiguous();
    const Tensor c = cotangent(y, static_cast<int>(k));
    for (std::size_t i = 0; i < y.span<double>().size(); ++i) {
      total += y.span<double>()[i] * c.span<double>()[i];
    }
  }
  return total;
}

std::vector<Tensor> analytic_gradients(const DifferentiableFn& fn,
                                       const std::vector<Tensor>& inputs) {
  Tape tape;
  std::vector<Variable> leaves;
  for (const Tensor& input : inputs) {
    leaves.push_back(differentiable(input) ? tape.watch(input) : Variable(input));
  }
  const std::vector<Variable> outputs = fn(leaves);
  std::vector<Tape::Seed> seeds;
  for (std::size_t k = 0; k < outputs.size(); ++k) {
    if (outputs[k].tracked() && differentiable(outputs[k].value())) {
      seeds.push_back({outputs[k], cotangent(outputs[k].value(), static_cast<int>(k))});
    }
  }
  tape.backward(seeds);
  std::vector<Tensor> gradients;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    Tensor gradient = leaves[i].tracked() ? tape.gradient(leaves[i]) : Tensor();
    if (leaves[i].tracked() && !gradient.defined()) {
      gradient = Tensor::zeros(inputs[i].shape(), Dtype::kF64);
    }
    gradients.push_back(gradient.defined() ? gradient.contiguous() : gradient);
  }
  return gradients;
}

}  // namespace

Tensor cotangent(const Tensor& output, int k) {
  Tensor c = Tensor::empty(output.shape(), Dtype::kF64);
  fill_normal(c, RandomStream{.seed = 11, .stream = static_cast<std::uint32_t>(k)}, 0.0, 1.0);
  return c.to(output.dtype());
}

std::string gradcheck(const DifferentiableFn& fn,
                      const std::vector<Tensor>& given,
                      const GradcheckOptions& options) {
  std::vector<Tensor> inputs;
  for (const Tensor& tensor : given) {
    inputs.push_back(tensor.defined() ? tensor.clone() : tensor);
  }
  const std::vector<Tensor> gradients = analytic_gradients(fn, inputs);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!differentiable(inputs[i])) {
      continue;
    }
    const auto values = inputs[i].span<double>();
    const auto gradient = gradients[i].span<double>();
    double scale = 1.0;
    for (const double g : gradient) {
      scale = std::max(scale, std::abs(g));
    }
    const auto count = static_cast<std::int64_t>(values.size());
    const std::int64_t stride = std::max<std::int64_t>(1, count / options.most_elements);
    for (std::int64_t e = 0; e < count; e += stride) {
      double& x = values[static_cast<std::size_t>(e)];
      const double saved = x;
      const double step = options.step * std::max(1.0, std::abs(saved));
      x = saved + step;
      const double high = weighted_sum(fn, inputs);
      x = saved - step;
      const double low = weighted_sum(fn, inputs);
      x = saved;
      const double numeric = (high - low) / (2 * step);
      const double analytic = gradient[static_cast<std::size_t>(e)];
      if (!(std::abs(analytic - numeric) <= options.tolerance * scale)) {
        return concat("gradient of input ", i, " of shape ", inputs[i].shape(), " at element ", e,
                      ": analytic ", analytic, ", central difference ", numeric, ", tolerance ",
                      options.tolerance * scale);
      }
    }
  }
  return {};
}

}  // namespace clausius
