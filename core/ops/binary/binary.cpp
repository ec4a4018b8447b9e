// SPDX-License-Identifier: Apache-2.0
// Binary arithmetic: broadcasting, checks, dispatch; gradients from the plain ops.
#include "core/ops/binary/binary.h"

#include <string_view>

#include "core/ops/binary/binary_reference.h"
#include "core/ops/reduce/reduce.h"
#include "core/ops/scale/scale.h"

namespace clausius::ops {

BinaryTable& binary_kernels() {
  static BinaryTable table("binary", binary_reference<double>, binary_reference<float>);
  return table;
}

namespace {

Shape broadcast(std::string_view op, const Shape& a, const Shape& b) {
  const int rank = std::max(a.rank(), b.rank());
  Shape shape;
  for (int axis = rank; axis > 0; --axis) {
    const std::int64_t size_a = axis <= a.rank() ? a[-axis] : 1;
    const std::int64_t size_b = axis <= b.rank() ? b[-axis] : 1;
    CLS_CHECK(size_a == size_b || size_a == 1 || size_b == 1, ShapeError, op, ": cannot broadcast ",
              a, " with ", b);
    shape.push_back(size_a == 1 ? size_b : size_a);
  }
  return shape;
}

Tensor binary(std::string_view name, BinaryOp op, const Tensor& a, const Tensor& b) {
  CLS_CHECK(is_floating(a.dtype()) && a.dtype() == b.dtype(), DtypeError, name, " of ", a.dtype(),
            " and ", b.dtype(), "; expected one floating type");
  const Shape shape = broadcast(name, a.shape(), b.shape());
  Tensor y = Tensor::empty(shape, a.dtype(), a.device());
  if (y.numel() > 0) {
    binary_kernels().run(a.device(), a.dtype(), a.expand(shape), b.expand(shape), y, op);
  }
  return y;
}

// The gradient of one operand: a product summed over what was repeated. Products that will be
// summed stay in f32.
Tensor wide_if_summed(const Tensor& x, const Tensor& operand, const Tensor& dy) {
  return operand.shape() == dy.shape() || x.dtype() != Dtype::kBf16 ? x : x.to(Dtype::kF32);
}
Tensor product_to(const Tensor& dy, const Tensor& factor, const Tensor& operand, BinaryOp op) {
  const Tensor product =
      binary("gradient", op, wide_if_summed(dy, operand, dy), wide_if_summed(factor, operand, dy));
  return sum_to(product, operand.shape(), operand.dtype());
}

}  // namespace

Tensor add(const Tensor& a, const Tensor& b) {
  return binary("add", BinaryOp::kAdd, a, b);
}
Tensor sub(const Tensor& a, const Tensor& b) {
  return binary("sub", BinaryOp::kSub, a, b);
}
Tensor mul(const Tensor& a, const Tensor& b) {
  return binary("mul", BinaryOp::kMul, a, b);
}
Tensor div(const Tensor& a, const Tensor& b) {
  return binary("div", BinaryOp::kDiv, a, b);
}

BinaryGradients add_backward(const Tensor& dy, const Tensor& a, const Tensor& b) {
  return {.da = sum_to(dy, a.shape(), a.dtype()), .db = sum_to(dy, b.shape(), b.dtype())};
}

BinaryGradients sub_backward(const Tensor& dy, const Tensor& a, const Tensor& b) {
  return {.da = sum_to(dy, a.shape(), a.dtype()),
          .db = scale(sum_to(dy, b.shape(), b.dtype()), -1)};
}

BinaryGradients mul_backward(const Tensor& dy, const Tensor& a, const Tensor& b) {
  return {.da = product_to(dy, b, a, BinaryOp::kMul), .db = product_to(dy, a, b, BinaryOp::kMul)};
}

BinaryGradients div_backward(const Tensor& dy, const Tensor& a, const Tensor& b) {
  // db = -sum of dy (a / b) / b.
  const Tensor y = div(a, b);
  const Tensor slope = div(wide_if_summed(y, b, dy), wide_if_summed(b, b, dy));
  const Tensor db = mul(wide_if_summed(dy, b, dy), slope);
  return {.da = product_to(dy, b, a, BinaryOp::kDiv),
          .db = scale(sum_to(db, b.shape(), b.dtype()), -1)};
}

}  // namespace clausius::ops
