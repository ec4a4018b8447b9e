// SPDX-License-Identifier: Apache-2.0
// Reductions: axes brought together, checks, dispatch.
#include "core/ops/reduce/reduce.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "core/ops/reduce/reduce_reference.h"
#include "core/ops/row_checks.h"
#include "core/ops/scale/scale.h"

namespace clausius::ops {

SumTable& sum_kernels() {
  static SumTable table("sum", sum_reference<double>, sum_reference<float>);
  return table;
}

MaxTable& max_kernels() {
  static MaxTable table("max", max_reference<double>, max_reference<float>);
  return table;
}

MaxBackwardTable& max_backward_kernels() {
  static MaxBackwardTable table("max_backward", max_backward_reference<double>,
                                max_backward_reference<float>);
  return table;
}

namespace {

using Reduced = std::array<bool, kMaxRank>;

Reduced reduced_axes(std::string_view op, const Tensor& x, const Axes& axes) {
  CLS_CHECK(is_floating(x.dtype()), DtypeError, op, " of ", x.dtype(),
            "; expected a floating type");
  Reduced reduced{};
  for (const int axis : axes) {
    const int positive = axis < 0 ? axis + x.rank() : axis;
    CLS_CHECK(positive >= 0 && positive < x.rank(), ShapeError, op, ": axis ", axis, " of shape ",
              x.shape());
    bool& mark = reduced[static_cast<std::size_t>(positive)];
    CLS_CHECK(!mark, ShapeError, op, ": axis ", axis, " is named twice");
    mark = true;
  }
  return reduced;
}

Axes all_axes(const Tensor& x) {
  Axes axes;
  for (int axis = 0; axis < x.rank(); ++axis) {
    axes.push_back(axis);
  }
  return axes;
}

Shape reduced_shape(const Tensor& x, const Reduced& reduced, bool keep) {
  Shape shape;
  for (int axis = 0; axis < x.rank(); ++axis) {
    if (!reduced[static_cast<std::size_t>(axis)]) {
      shape.push_back(x.size(axis));
    } else if (keep) {
      shape.push_back(1);
    }
  }
  return shape;
}

std::int64_t reduced_count(const Tensor& x, const Reduced& reduced) {
  std::int64_t count = 1;
  for (int axis = 0; axis < x.rank(); ++axis) {
    count *= reduced[static_cast<std::size_t>(axis)] ? x.size(axis) : 1;
  }
  return count;
}

// x as a dense [O, N, I] tensor whose N holds the reduced axes; where they are not neighbours they
// are moved to the end.
Tensor outer_reduced_inner(const Tensor& x, const Reduced& reduced) {
  int first = 0;
  int last = x.rank();
  while (first < last && !reduced[static_cast<std::size_t>(first)]) {
    ++first;
  }
  while (last > first && !reduced[static_cast<std::size_t>(last - 1)]) {
    --last;
  }
  std::array<std::int64_t, 3> sizes{1, 1, 1};
  bool neighbours = true;
  for (int axis = 0; axis < x.rank(); ++axis) {
    sizes[axis < first ? 0 : (axis < last ? 1 : 2)] *= x.size(axis);
    neighbours =
        neighbours && (axis < first || axis >= last || reduced[static_cast<std::size_t>(axis)]);
  }
  if (neighbours) {
    return x.contiguous().reshape({sizes[0], sizes[1], sizes[2]});
  }
  Tensor moved = x;
  Reduced marks = reduced;
  for (int kept = 0, axis = 0; axis < x.rank(); ++axis) {
    if (marks[static_cast<std::size_t>(axis)]) {
      continue;
    }
    // Bubble the kept axis forward: the order of kept axes must not change.
    for (int at = axis; at > kept; --at) {
      moved = moved.transpose(at, at - 1);
      std::swap(marks[static_cast<std::size_t>(at)], marks[static_cast<std::size_t>(at - 1)]);
    }
    ++kept;
  }
  const std::int64_t count = reduced_count(x, reduced);
  return moved.contiguous().reshape({x.numel() / std::max<std::int64_t>(1, count), count, 1});
}

Tensor reduce_sum(std::string_view op, const Tensor& x, const Axes& axes, bool keep, bool average) {
  const Reduced reduced = reduced_axes(op, x, axes);
  Tensor y =
      Tensor::empty(reduced_shape(x, reduced, keep), detail::wide_dtype(x.dtype()), x.device());
  const std::int64_t count = reduced_count(x, reduced);
  CLS_CHECK(!average || count > 0 || y.numel() == 0, ShapeError, op, " over no elements of shape ",
            x.shape());
  if (x.numel() == 0) {
    y.fill(0);
    return y;
  }
  const Tensor x_ONI = outer_reduced_inner(x, reduced);
  Tensor y_OI = y.reshape({x_ONI.size(0), x_ONI.size(2)});
  sum_kernels().run(x.device(), x.dtype(), x_ONI, y_OI,
                    average ? 1.0 / static_cast<double>(count) : 1.0);
  return y;
}

Tensor repeat(std::string_view op, const Tensor& dy, const Tensor& x, const Reduced& reduced) {
  CLS_CHECK(dy.numel() == reduced_shape(x, reduced, false).numel(), ShapeError, op, ": dy is ",
            dy.shape(), " for x ", x.shape());
  Tensor dx = Tensor::empty(x.shape(), x.dtype(), x.device());
  dx.copy_from(dy.reshape(reduced_shape(x, reduced, true)).expand(x.shape()));
  return dx;
}

}  // namespace

Tensor sum(const Tensor& x) {
  return sum(x, all_axes(x));
}
Tensor sum(const Tensor& x, const Axes& axes, bool keep) {
  return reduce_sum("sum", x, axes, keep, false);
}

Tensor sum_backward(const Tensor& dy, const Tensor& x, const Axes& axes) {
  return repeat("sum_backward", dy, x, reduced_axes("sum_backward", x, axes));
}

Tensor mean(const Tensor& x) {
  return mean(x, all_axes(x));
}
Tensor mean(const Tensor& x, const Axes& axes, bool keep) {
  return reduce_sum("mean", x, axes, keep, true);
}

Tensor mean_backward(const Tensor& dy, const Tensor& x, const Axes& axes) {
  const Reduced reduced = reduced_axes("mean_backward", x, axes);
  const auto count = static_cast<double>(std::max<std::int64_t>(1, reduced_count(x, reduced)));
  return repeat("mean_backward", scale(dy, 1.0 / count), x, reduced);
}

MaxOutput max(const Tensor& x, int axis) {
  const Reduced reduced = reduced_axes("max", x, {axis});
  CLS_CHECK(x.size(axis) > 0, ShapeError, "max over axis ", axis, " of shape ", x.shape(),
            ", which has no elements");
  const Shape shape = reduced_shape(x, reduced, false);
  MaxOutput result{.value = Tensor::empty(shape, detail::wide_dtype(x.dtype()), x.device()),
                   .index = Tensor::empty(shape, Dtype::kI64, x.device())};
  if (x.numel() > 0) {
    const Tensor x_ONI = outer_reduced_inner(x, reduced);
    Tensor value_OI = result.value.reshape({x_ONI.size(0), x_ONI.size(2)});
    Tensor index_OI = result.index.reshape({x_ONI.size(0), x_ONI.size(2)});
    max_kernels().run(x.device(), x.dtype(), x_ONI, value_OI, index_OI);
  }
  return result;
}

Tensor max_backward(const Tensor& dy, const Tensor& index, const Tensor& x, int axis) {
  const Reduced reduced = reduced_axes("max_backward", x, {axis});
  CLS_CHECK(dy.shape() == reduced_shape(x, reduced, false) && index.shape() == dy.shape(),
            ShapeError, "max_backward: dy is ", dy.shape(), " and index ", index.shape(), " for x ",
            x.shape());
  Tensor dx = Tensor::empty(x.shape(), dy.dtype(), x.device());
  if (x.numel() > 0) {
    Tensor dx_ONI = outer_reduced_inner(dx, reduced);
    const Shape shape_OI{dx_ONI.size(0), dx_ONI.size(2)};
    max_backward_kernels().run(x.device(), dy.dtype(), dy.contiguous().reshape(shape_OI),
                               index.contiguous().reshape(shape_OI), dx_ONI);
  }
  return dx.to(x.dtype());
}

Tensor sum_to(const Tensor& x, const Shape& shape, Dtype dtype) {
  if (x.shape() == shape) {
    return x.to(dtype);
  }
  const int added = x.rank() - shape.rank();
  CLS_CHECK(added >= 0, ShapeError, "sum_to ", shape, " of shape ", x.shape());
  Axes axes;
  for (int axis = 0; axis < x.rank(); ++axis) {
    const std::int64_t size = axis < added ? 1 : shape[axis - added];
    CLS_CHECK(size == 1 || size == x.size(axis), ShapeError, "sum_to ", shape, " of shape ",
              x.shape());
    if (axis < added || size != x.size(axis)) {
      axes.push_back(axis);
    }
  }
  return sum(x, axes, true).reshape(shape).to(dtype);
}

}  // namespace clausius::ops
