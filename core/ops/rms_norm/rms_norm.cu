// SPDX-License-Identifier: Apache-2.0
// CUDA kernels of root-mean-square normalisation.
#include "core/cuda/norm_rows.cuh"
#include "core/ops/rms_norm/rms_norm.h"

namespace clausius::ops {
namespace {

template <class T>
void rms_norm_forward_cuda(
    const Tensor& x, const Tensor& gain, Tensor& y, Tensor& rstd, double eps) {
  cuda::norm_forward<T, false>(x, y,
                               {.rows = x.size(0),
                                .width = x.size(1),
                                .eps = eps,
                                .gain = cuda::data_or_null(gain),
                                .bias = nullptr,
                                .mean = nullptr,
                                .rstd = rstd.data<float>()});
}

template <class T>
void rms_norm_backward_cuda(const Tensor& dy,
                            const Tensor& x,
                            const Tensor& gain,
                            const Tensor& rstd,
                            Tensor& dx,
                            Tensor& dgain) {
  cuda::norm_backward<T, false>(dy, x, dx,
                                {.rows = x.size(0),
                                 .width = x.size(1),
                                 .gain = cuda::data_or_null(gain),
                                 .mean = nullptr,
                                 .rstd = rstd.data<float>(),
                                 .dgain = cuda::data_or_null(dgain),
                                 .dbias = nullptr});
}

CLS_KERNEL(rms_norm_forward, kCuda, kF32, rms_norm_forward_cuda<float>);
CLS_KERNEL(rms_norm_forward, kCuda, kBf16, rms_norm_forward_cuda<bf16>);
CLS_KERNEL(rms_norm_backward, kCuda, kF32, rms_norm_backward_cuda<float>);
CLS_KERNEL(rms_norm_backward, kCuda, kBf16, rms_norm_backward_cuda<bf16>);

}  // namespace
}  // namespace clausius::ops
