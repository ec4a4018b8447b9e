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

Dtype result_dtype(std::string_view op, Dtype a, Dtype b) {
  const bool mixed =
      (a == Dtype::kBf16 && b == Dtype::kF32) || (a == Dtype::kF32 && b == Dtype::kBf16);
  CLS_CHECK(is_floating(a) && (a == b || mixed), DtypeError, op, " of ", a, " and ", b,
            "; expected one floating type, or f32 beside bf16");
  return mixed ? Dtype::kBf16 : a;
}

Tensor binary(std::string_view name, BinaryOp op, const Tensor& a, const Tensor& b, Dtype dtype) {
  const Shape shape = broadcast(name, a.shape(), b.shape());
  Tensor y = Tensor::empty(shape, dtype, a.device());
  if (y.numel() > 0) {
    binary_kernels().run(a.device(), dtype, a.expand(shape), b.expand(shape), y, op);
  }
  return y;
}

Tensor binary(std::string_view name, BinaryOp op, const Tensor& a, const Tensor& b) {
  return binary(name, op, a, b, result_dtype(name, a.dtype(), b.dtype()));
}

// What will be summed stays in f32, else it is rounded once.
Dtype product_dtype(const Tensor& dy, const Tensor& operand) {
  const bool summed = operand.shape() != dy.shape();
  return dy.dtype() == Dtype::kBf16 && !summed
             ? Dtype::kBf16
             : (dy.dtype() == Dtype::kF64 ? Dtype::kF64 : Dtype::kF32);
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

Tensor mul_gradient(const Tensor& dy, const Tensor& other, const Tensor& operand) {
  const Tensor product =
      binary("mul_gradient", BinaryOp::kMul, dy, other, product_dtype(dy, operand));
  return sum_to(product, operand.shape(), operand.dtype());
}

Tensor div_gradient_a(const Tensor& dy, const Tensor& a, const Tensor& b) {
  const Tensor quotient = binary("div_gradient_a", BinaryOp::kDiv, dy, b, product_dtype(dy, a));
  return sum_to(quotient, a.shape(), a.dtype());
}

Tensor div_gradient_b(const Tensor& dy, const Tensor& a, const Tensor& b) {
  const Dtype wide = dy.dtype() == Dtype::kF64 ? Dtype::kF64 : Dtype::kF32;
  const Tensor slope = binary("div_gradient_b", BinaryOp::kDiv,
                              binary("div_gradient_b", BinaryOp::kDiv, a, b, wide), b, wide);
  const Tensor product = binary("div_gradient_b", BinaryOp::kMul, dy, slope, product_dtype(dy, b));
  return scale(sum_to(product, b.shape(), b.dtype()), -1);
}

}  // namespace clausius::ops
