// SPDX-License-Identifier: Apache-2.0
// Checks, broadcasting and dispatch of matmul.
#include "core/ops/matmul/matmul.h"

#include <algorithm>

#include "core/ops/matmul/matmul_reference.h"

namespace clausius::ops {
namespace {

// Leading sizes of the product; an operand lacks an axis, has size 1 there, or agrees.
Shape leading_sizes(const Tensor& a, const Tensor& b) {
  const int rank = std::max(a.rank(), b.rank());
  Shape leading;
  for (int axis = -rank; axis < -2; ++axis) {
    const std::int64_t of_a = -axis <= a.rank() ? a.size(axis) : 1;
    const std::int64_t of_b = -axis <= b.rank() ? b.size(axis) : 1;
    CLS_CHECK(of_a == of_b || of_a == 1 || of_b == 1, ShapeError,
              "[matmul] leading sizes differ: a is ", a.shape(), ", b is ", b.shape(),
              "; expected equal sizes, or 1");
    leading.push_back(of_a == 1 ? of_b : of_a);
  }
  return leading;
}

Shape product_shape(const Tensor& a, const Tensor& b) {
  CLS_CHECK(a.rank() >= 2 && b.rank() >= 2, ShapeError, "[matmul] a is ", a.shape(), ", b is ",
            b.shape(), "; expected at least two dimensions each");
  const bool transposed_fits = a.size(-1) == b.size(-1);
  CLS_CHECK(a.size(-1) == b.size(-2), ShapeError, "[matmul] inner sizes differ: a is ", a.shape(),
            ", b is ", b.shape(), "; expected a.size(-1) == b.size(-2)",
            transposed_fits ? ". Did you mean matmul(a, b.transpose(-1, -2))?" : "");
  Shape shape = leading_sizes(a, b);
  shape.push_back(a.size(-2));
  shape.push_back(b.size(-1));
  return shape;
}

Tensor expanded(const Tensor& operand, const Shape& product) {
  Shape shape = product;
  shape[-2] = operand.size(-2);
  shape[-1] = operand.size(-1);
  return operand.shape() == shape ? operand : operand.expand(shape);
}

}  // namespace

MatmulKernels& matmul_kernels() {
  static MatmulKernels table("matmul", matmul_reference<double>, matmul_reference<float>);
  return table;
}

void detail::check_factor(std::string_view op, const Tensor& factor, Dtype dtype, Device device) {
  if (!factor) {
    return;
  }
  const Dtype wanted = dtype == Dtype::kF64 ? Dtype::kF64 : Dtype::kF32;
  CLS_CHECK(factor.numel() == 1, ShapeError, "[", op, "] the factor is ", factor.shape(),
            "; expected one element");
  CLS_CHECK(factor.dtype() == wanted && factor.device() == device, DtypeError, "[", op,
            "] the factor is ", factor.dtype(), "; expected ", wanted, " where the operands are");
}

void matmul(const Tensor& a,
            const Tensor& b,
            Tensor& out,
            double alpha,
            bool accumulate,
            const Tensor& factor) {
  const Shape shape = product_shape(a, b);
  CLS_CHECK(out.shape() == shape, ShapeError, "[matmul] out is ", out.shape(), "; expected ",
            shape);
  CLS_CHECK(is_floating(a.dtype()) && a.dtype() == b.dtype(), DtypeError, "[matmul] a is ",
            a.dtype(), ", b is ", b.dtype(), "; expected one floating type");
  CLS_CHECK(out.dtype() == a.dtype() || (a.dtype() == Dtype::kBf16 && out.dtype() == Dtype::kF32),
            DtypeError, "[matmul] out is ", out.dtype(), " for operands of ", a.dtype());
  detail::check_factor("matmul", factor, a.dtype(), out.device());
  if (out.numel() == 0) {
    return;
  }
  if (a.size(-1) == 0) {
    if (!accumulate) {
      out.fill(0.0);
    }
    return;
  }
  matmul_kernels().run(out.device(), a.dtype(), expanded(a, shape), expanded(b, shape), out, alpha,
                       accumulate, factor);
}

Tensor matmul(const Tensor& a, const Tensor& b, double alpha) {
  Tensor out = Tensor::empty(product_shape(a, b), a.dtype(), a.device());
  matmul(a, b, out, alpha);
  return out;
}

}  // namespace clausius::ops
