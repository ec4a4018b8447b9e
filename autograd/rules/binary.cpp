// SPDX-License-Identifier: Apache-2.0
// Gradient rules of add, sub, mul, div and scale.
#include "autograd/rules/binary.h"

#include "autograd/tape.h"
#include "core/ops/binary/binary.h"
#include "core/ops/reduce/reduce.h"
#include "core/ops/scale/scale.h"

namespace clausius {
namespace {
// What add and sub need of an operand: not its elements.
struct Form {
  Shape shape;
  Dtype dtype = Dtype::kF32;
};
Form form_of(const Variable& x) {
  return {x.shape(), x.dtype()};
}
Tensor sum_to(const Tensor& dy, const Form& form) {
  return ops::sum_to(dy, form.shape, form.dtype);
}
}  // namespace

// da = dy, db = dy, each summed over what was repeated. Saves shapes only.
Variable add(const Variable& a, const Variable& b) {
  return record("add", ops::add(a.value(), b.value()), {a, b},
                [a = form_of(a), b = form_of(b)](Backward& back) {
                  for (const int i : {0, 1}) {
                    if (back.needs(i)) {
                      back.give(i, sum_to(back.dy(), i == 0 ? a : b));
                    }
                  }
                });
}

// da = dy, db = -dy.
Variable sub(const Variable& a, const Variable& b) {
  return record("sub", ops::sub(a.value(), b.value()), {a, b},
                [a = form_of(a), b = form_of(b)](Backward& back) {
                  if (back.needs(0)) {
                    back.give(0, sum_to(back.dy(), a));
                  }
                  if (back.needs(1)) {
                    back.give(1, ops::scale(sum_to(back.dy(), b), -1.0));
                  }
                });
}

// da = dy b, db = dy a.
Variable mul(const Variable& a, const Variable& b) {
  return record("mul", ops::mul(a.value(), b.value()), {a, b},
                [a = a.value(), b = b.value()](Backward& back) {
                  if (back.needs(0)) {
                    back.give(0, ops::mul_gradient(back.dy(), b, a));
                  }
                  if (back.needs(1)) {
                    back.give(1, ops::mul_gradient(back.dy(), a, b));
                  }
                });
}

// da = dy / b, db = -dy a / b^2.
Variable div(const Variable& a, const Variable& b) {
  return record("div", ops::div(a.value(), b.value()), {a, b},
                [a = a.value(), b = b.value()](Backward& back) {
                  if (back.needs(0)) {
                    back.give(0, ops::div_gradient_a(back.dy(), a, b));
                  }
                  if (back.needs(1)) {
                    back.give(1, ops::div_gradient_b(back.dy(), a, b));
                  }
                });
}

// dx = factor dy.
Variable scale(const Variable& x, double factor) {
  return record("scale", ops::scale(x.value(), factor), {x},
                [factor](const Tensor& dy) -> Gradients { return {ops::scale(dy, factor)}; });
}

}  // namespace clausius
