// SPDX-License-Identifier: Apache-2.0
// Gradient rule of matmul.
#include "autograd/rules/matmul.h"

#include "autograd/tape.h"
#include "core/ops/accumulate/accumulate.h"
#include "core/ops/matmul/as_matrix.h"
#include "core/ops/matmul/matmul.h"

namespace clausius {
namespace {

// Sums away the leading axes that broadcasting repeated.
Tensor sum_to(Tensor gradient, const Shape& shape) {
  for (int axis = 0; axis < gradient.rank() - 2; ++axis) {
    const int own = axis - (gradient.rank() - shape.rank());
    if (gradient.size(axis) == 1 || (own >= 0 && shape[own] == gradient.size(axis))) {
      continue;
    }
    Tensor sum =
        Tensor::zeros(gradient.slice(axis, 0, 1).shape(), gradient.dtype(), gradient.device());
    for (std::int64_t i = 0; i < gradient.size(axis); ++i) {
      ops::accumulate(gradient.slice(axis, i, i + 1), sum);
    }
    gradient = sum;
  }
  return gradient.reshape(shape);
}

// The gradient alpha left right of one operand: in place unless broadcasting repeated that operand.
void give_product(Backward& b,
                  int input,
                  const Tensor& left,
                  const Tensor& right,
                  double alpha,
                  const Shape& shape,
                  bool repeated) {
  if (!repeated) {
    Destination into = b.destination(input);
    return ops::matmul(left, right, into.tensor, alpha, into.accumulate);
  }
  b.give(input, sum_to(ops::matmul(left, right, alpha), shape));
}

bool is_repeated(const Shape& operand, const Shape& product) {
  bool equal = operand.rank() == product.rank();
  for (int axis = 0; equal && axis < product.rank() - 2; ++axis) {
    equal = operand[axis] == product[axis];
  }
  return !equal;
}

}  // namespace

// y = alpha a b;  da = alpha dy b^T;  db = alpha a^T dy. Saves b for da, a for db.
Variable matmul(const Variable& a, const Variable& b, double alpha) {
  const auto backward = [saved_a = b.tracked() ? a.value() : Tensor(),
                         saved_b = a.tracked() ? b.value() : Tensor(), shape_a = a.shape(),
                         shape_b = b.shape(), alpha](Backward& g) {
    const Tensor& dy = g.dy();
    if (g.needs(0)) {
      give_product(g, 0, dy, saved_b.transpose(-1, -2), alpha, shape_a,
                   is_repeated(shape_a, dy.shape()));
    }
    if (!g.needs(1)) {
      return;
    }
    if (shape_b.rank() == 2 && !is_repeated(shape_a, dy.shape())) {
      // One matrix shared by a batch: the rows of the batch are one long sum.
      return give_product(g, 1, ops::as_matrix(saved_a).transpose(0, 1), ops::as_matrix(dy), alpha,
                          shape_b, false);
    }
    give_product(g, 1, saved_a.transpose(-1, -2), dy, alpha, shape_b,
                 is_repeated(shape_b, dy.shape()));
  };
  return record("matmul", ops::matmul(a.value(), b.value(), alpha), {a, b}, backward);
}

}  // namespace clausius
