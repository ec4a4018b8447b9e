// SPDX-License-Identifier: Apache-2.0
// Gradient rules of views.
#include "autograd/rules/views.h"

#include <memory>

#include "autograd/tape.h"
#include "core/error.h"

namespace clausius {

// y has the elements of x;  dx = dy in the shape of x. Saves the shape only.
Variable reshape(const Variable& x, const Shape& shape) {
  return record("reshape", x.value().reshape(shape), {x},
                [shape = x.shape()](const Tensor& dy) -> Gradients {
                  return {dy.contiguous().reshape(shape)};
                });
}

// dx = dy transposed back.
Variable transpose(const Variable& x, int a, int b) {
  return record("transpose", x.value().transpose(a, b), {x},
                [a, b](const Tensor& dy) -> Gradients { return {dy.transpose(a, b)}; });
}

std::vector<Variable> split(const Variable& x, int axis, std::span<const std::int64_t> sizes) {
  std::vector<std::int64_t> begins;
  std::vector<Tensor> parts;
  std::int64_t begin = 0;
  for (const std::int64_t size : sizes) {
    begins.push_back(begin);
    parts.push_back(x.value().slice(axis, begin, begin + size));
    begin += size;
  }
  CLS_CHECK(begin == x.size(axis), ShapeError, "split sizes add up to ", begin, ", axis ", axis,
            " has ", x.size(axis));
  if (!x.tracked()) {
    return record_many("split", std::move(parts), {&x, 1}, {});
  }
  begins.push_back(begin);
  return x.tape()->append_split("split", x, std::move(parts),
                                [axis, begins](const Tensor& whole, int part) {
                                  return whole.slice(axis, begins[static_cast<std::size_t>(part)],
                                                     begins[static_cast<std::size_t>(part) + 1]);
                                });
}

// dx = dy inside [begin, end), 0 elsewhere.
Variable slice(const Variable& x, int axis, std::int64_t begin, std::int64_t end) {
  return record("slice", x.value().slice(axis, begin, end), {x},
                [axis, begin, end, shape = x.shape()](const Tensor& dy) -> Gradients {
                  Tensor dx = Tensor::zeros(shape, dy.dtype(), dy.device());
                  dx.slice(axis, begin, end).copy_from(dy);
                  return {dx};
                });
}

Variable concat(const std::vector<Variable>& parts, int axis) {
  CLS_CHECK(!parts.empty(), ShapeError, "concat of nothing");
  Shape shape = parts[0].shape();
  shape[axis] = 0;
  for (const Variable& part : parts) {
    shape[axis] += part.size(axis);
  }
  Tensor y = Tensor::empty(shape, parts[0].dtype(), parts[0].value().device());
  std::vector<std::int64_t> begins;
  std::int64_t begin = 0;
  for (const Variable& part : parts) {
    y.slice(axis, begin, begin + part.size(axis)).copy_from(part.value());
    begins.push_back(begin);
    begin += part.size(axis);
  }
  begins.push_back(begin);
  return record_many("concat", {y}, parts, [axis, begins](Backward& b) {
    for (std::size_t i = 0; i + 1 < begins.size(); ++i) {
      b.give(static_cast<int>(i), b.dy().slice(axis, begins[i], begins[i + 1]));
    }
  })[0];
}

}  // namespace clausius
