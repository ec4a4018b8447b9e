// SPDX-License-Identifier: Apache-2.0
// Gradient rules of views.
#include "autograd/rules/views.h"

#include <functional>

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

namespace {

std::vector<Variable> split_by(const Variable& x,
                               int parts,
                               const std::function<Tensor(const Tensor&, int)>& part_of) {
  std::vector<Tensor> values;
  for (int part = 0; part < parts; ++part) {
    values.push_back(part_of(x.value(), part));
  }
  if (!x.tracked()) {
    return record_many("split", std::move(values), {&x, 1}, {});
  }
  return x.tape()->append_split("split", x, std::move(values), part_of);
}

// Borders of consecutive parts; the last one must be `total`.
std::vector<std::int64_t> borders_of(std::span<const std::int64_t> sizes,
                                     std::int64_t unit,
                                     std::int64_t total) {
  std::vector<std::int64_t> borders = {0};
  for (const std::int64_t size : sizes) {
    borders.push_back(borders.back() + size * unit);
  }
  CLS_CHECK(borders.back() == total, ShapeError, "split sizes add up to ", borders.back(),
            ", the dimension has ", total);
  return borders;
}

}  // namespace

std::vector<Variable> split(const Variable& x, int axis, std::span<const std::int64_t> sizes) {
  const std::vector<std::int64_t> borders = borders_of(sizes, 1, x.size(axis));
  return split_by(x, static_cast<int>(sizes.size()),
                  [axis, borders](const Tensor& whole, int part) {
                    const auto i = static_cast<std::size_t>(part);
                    return whole.slice(axis, borders[i], borders[i + 1]);
                  });
}

std::vector<Variable> split_heads(const Variable& x,
                                  std::span<const std::int64_t> counts,
                                  std::int64_t head_dim) {
  const std::vector<std::int64_t> borders = borders_of(counts, head_dim, x.size(-1));
  return split_by(x, static_cast<int>(counts.size()),
                  [head_dim, borders](const Tensor& whole, int part) {
                    const auto i = static_cast<std::size_t>(part);
                    return whole.slice(-1, borders[i], borders[i + 1])
                        .reshape({whole.size(0), whole.size(1), -1, head_dim});
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
