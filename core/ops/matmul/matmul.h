// SPDX-License-Identifier: Apache-2.0
// Matrix products, batched, strided, with accumulation into an existing output.
#pragma once

#include "core/kernel_table.h"
#include "core/tensor.h"

namespace clausius::ops {

/// out = alpha a b, or out += alpha a b when `accumulate`. `factor`, where defined, is one element beside the operands (f32; f64 with
/// f64) that multiplies alpha and is read when the product runs: the host need not know it.
/// Shapes:  a (.., M, K), b (.., K, N) -> out (.., M, N); leading sizes are equal, 1 or absent (then repeated).
///          Any strides; a matrix with neither side dense is copied first, so pass transposes as views.
/// Value:   bf16 operands are multiplied exactly and summed in f32; f32 sums in f32. K = 0 gives zeros.
/// Errors:  ShapeError when inner or leading sizes differ; DtypeError unless a and b have one type and out has it too
///          (or f32, when that type is bf16).
/// Cost:    compute-bound, 2 M N K a matrix. Bits may depend on the number of threads, never on the run.
void matmul(const Tensor& a,
            const Tensor& b,
            Tensor& out,
            double alpha = 1.0,
            bool accumulate = false,
            const Tensor& factor = {});

/// The product in a fresh tensor of the operands' type.
[[nodiscard]] Tensor matmul(const Tensor& a, const Tensor& b, double alpha = 1.0);

/// Kernels get a and b expanded to out's leading sizes (stride 0 where repeated), and out of at least one element.
using MatmulKernels = KernelTable<void(const Tensor& a,
                                       const Tensor& b,
                                       Tensor& out,
                                       double alpha,
                                       bool accumulate,
                                       const Tensor& factor)>;
MatmulKernels& matmul_kernels();

namespace detail {

/// Errors: ShapeError, DtypeError unless `factor` is undefined, or one element that products of `dtype` can be multiplied by.
void check_factor(std::string_view op, const Tensor& factor, Dtype dtype, Device device);

}  // namespace detail

}  // namespace clausius::ops
