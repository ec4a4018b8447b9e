// SPDX-License-Identifier: Apache-2.0
// Gradient rules of sum, mean and max.
#include "autograd/rules/reduce.h"

#include "autograd/tape.h"

namespace clausius {
namespace {
ops::Axes all_axes(const Variable& x) {
  ops::Axes axes;
  for (int axis = 0; axis < x.rank(); ++axis) {
    axes.push_back(axis);
  }
  return axes;
}
}  // namespace

Variable sum(const Variable& x) {
  return sum(x, all_axes(x));
}

// dx = dy repeated along the axes. Keeps the handle of x for its shape and type.
Variable sum(const Variable& x, const ops::Axes& axes, bool keep) {
  return record("sum", ops::sum(x.value(), axes, keep), {x},
                [x = x.value(), axes](const Tensor& dy) -> Gradients {
                  return {ops::sum_backward(dy, x, axes)};
                });
}

Variable mean(const Variable& x) {
  return mean(x, all_axes(x));
}

// dx = dy / count repeated along the axes.
Variable mean(const Variable& x, const ops::Axes& axes, bool keep) {
  return record("mean", ops::mean(x.value(), axes, keep), {x},
                [x = x.value(), axes](const Tensor& dy) -> Gradients {
                  return {ops::mean_backward(dy, x, axes)};
                });
}

// dx = dy at the first largest element. Saves the index.
Variable max(const Variable& x, int axis) {
  ops::MaxOutput out = ops::max(x.value(), axis);
  return record("max", out.value, {x},
                [x = x.value(), index = out.index, axis](const Tensor& dy) -> Gradients {
                  return {ops::max_backward(dy, index, x, axis)};
                });
}

}  // namespace clausius
