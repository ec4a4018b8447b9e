// SPDX-License-Identifier: Apache-2.0
// Brings any strides to what run_gemm takes: views where they fit, flipped products for column-dense outputs, else copies.
#include <cmath>
#include <cstdint>

#include "core/cuda/gemm.h"
#include "core/cuda/gemm_problem.h"
#include "core/cuda/launch.cuh"

namespace clausius::cuda {
namespace {

using ops::detail::layout_of;
using ops::detail::MatrixLayout;

bool is_batch(const Tensor& tensor) {
  return tensor.rank() == 3;
}

// A repeated matrix is copied once.
Tensor usable(const Tensor& matrix) {
  if (layout_of(matrix).step > 0) {
    return matrix;
  }
  if (is_batch(matrix) && matrix.stride(0) == 0) {
    return matrix.select(0, 0).clone().expand(matrix.shape());
  }
  return matrix.clone();
}

// The bias as the library reads it: dense, of out's type, aligned. It reads no f32 bias for a bf16 output, so there `rest` is what the
// rounding of `first` left, and enters the sum as a matrix whose rows are all the same.
struct Bias {
  Tensor first;
  Tensor rest;
};

__global__ void split_bias_kernel(
    std::int64_t n, const float* bias, std::int64_t stride, bf16* first, bf16* rest) {
  for (std::int64_t i = global_index(); i < n; i += global_threads()) {
    const float value = bias[i * stride];
    first[i] = bf16(value);
    // An overflow or NaN is all in the first part.
    const float left = value - static_cast<float>(first[i]);
    rest[i] = bf16(std::isfinite(left) ? left : 0.0F);
  }
}

Bias usable_bias(const Tensor& bias_N, Dtype dtype) {
  if (!bias_N) {
    return {};
  }
  if (dtype == Dtype::kF32) {
    const Tensor bias = bias_N.contiguous();
    return {reinterpret_cast<std::uintptr_t>(bias.raw()) % 16 == 0 ? bias : bias.clone(), {}};
  }
  const std::int64_t n = bias_N.numel();
  const std::int64_t padded = div_ceil<std::int64_t>(n, 8) * 8;  // keeps the second row aligned
  const Tensor parts = Tensor::empty({2, padded}, dtype, bias_N.device());
  Bias bias{parts.select(0, 0).slice(0, 0, n), parts.select(0, 1).slice(0, 0, n)};
  launch(split_bias_kernel, grid_over(n), n, bias_N.data<float>(), bias_N.stride(0),
         bias.first.data<bf16>(), bias.rest.data<bf16>());
  return bias;
}

// Exact, with a pass more over out.
void gemm_through_f32(const Tensor& a,
                      const Tensor& b,
                      Tensor& out,
                      const ops::GemmOptions& options) {
  Tensor sum = options.accumulate ? out.to(Dtype::kF32)
                                  : Tensor::empty(out.shape(), Dtype::kF32, out.device());
  cuda::gemm(a, b, sum, options);
  out.copy_from(sum);
}

// Rows that begin on sixteen bytes. For others cuBLASLt has kernels of another make, which round the sum before they add the bias.
bool has_whole_vectors(const Tensor& matrix) {
  const std::int64_t step = layout_of(matrix).step * narrow<std::int64_t>(size_of(matrix.dtype()));
  return step % 16 == 0 && reinterpret_cast<std::uintptr_t>(matrix.raw()) % 16 == 0;
}

std::int64_t batch_stride(const Tensor& tensor) {
  return is_batch(tensor) && tensor.size(0) > 1 ? tensor.stride(0) : 0;
}

}  // namespace

void gemm(const Tensor& a, const Tensor& b, Tensor& out, const ops::GemmOptions& options) {
  CLS_ASSERT(a.size(-1) == b.size(-2) && a.size(-2) == out.size(-2) && b.size(-1) == out.size(-1));
  CLS_ASSERT(a.rank() == out.rank() && b.rank() == out.rank() && out.rank() <= 3);
  CLS_ASSERT(out.numel() > 0 && a.size(-1) > 0 && a.dtype() == b.dtype());
  CLS_ASSERT(!options.factor || options.alpha == 1.0);
  const MatrixLayout out_layout = layout_of(out);
  if (out_layout.step > 0 && out_layout.transposed && !options.bias_N) {
    Tensor flipped = out.transpose(-1, -2);
    return cuda::gemm(b.transpose(-1, -2), a.transpose(-1, -2), flipped, options);
  }
  if (out_layout.step == 0 || out_layout.transposed) {
    Tensor dense =
        options.accumulate ? out.clone() : Tensor::empty(out.shape(), out.dtype(), out.device());
    cuda::gemm(a, b, dense, options);
    return out.copy_from(dense);
  }
  if (options.bias_N && options.accumulate && out.dtype() == Dtype::kBf16) {
    return gemm_through_f32(a, b, out, options);  // out and the bias's rest cannot both be c
  }
  const Tensor left = usable(a);
  const Tensor right = usable(b);
  const Bias bias = usable_bias(options.bias_N, out.dtype());
  if (bias.rest &&
      !(has_whole_vectors(left) && has_whole_vectors(right) && has_whole_vectors(out))) {
    return gemm_through_f32(a, b, out, options);
  }
  const GemmProblem problem{.batch = is_batch(out) ? out.size(0) : 1,
                            .m = out.size(-2),
                            .n = out.size(-1),
                            .k = a.size(-1),
                            .a = layout_of(left),
                            .b = layout_of(right),
                            .out_step = out_layout.step,
                            .c_step = bias.rest ? 0 : out_layout.step,
                            .a_stride = batch_stride(left),
                            .b_stride = batch_stride(right),
                            .out_stride = batch_stride(out),
                            .c_stride = bias.rest ? 0 : batch_stride(out),
                            .in_dtype = a.dtype(),
                            .out_dtype = out.dtype(),
                            .bias = bias.first.defined(),
                            .device_scale = options.factor.defined()};
  const bool done = run_gemm(problem,
                             {.a = left.raw(),
                              .b = right.raw(),
                              .out = out.raw(),
                              .c = bias.rest ? bias.rest.raw() : out.raw(),
                              .bias = bias.first ? bias.first.raw() : nullptr,
                              .alpha = options.factor ? options.factor.data<float>() : nullptr},
                             static_cast<float>(options.alpha),
                             options.accumulate || bias.rest ? 1.0F : 0.0F, out.device());
  if (!done) {
    gemm_through_f32(a, b, out, options);
  }
}

}  // namespace clausius::cuda
