// SPDX-License-Identifier: Apache-2.0
// Gradient rule of matmul.
#include "autograd/rules/matmul.h"

#include "autograd/tape.h"
#include "core/ops/matmul/as_matrix.h"
#include "core/ops/matmul/matmul.h"
#include "core/ops/reduce/reduce.h"

namespace clausius {
namespace {

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
  b.give(input, ops::sum_to(ops::matmul(left, right, alpha), shape, left.dtype()));
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
