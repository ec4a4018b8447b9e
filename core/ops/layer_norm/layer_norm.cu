// SPDX-License-Identifier: Apache-2.0
// CUDA kernels of layer normalisation.
#include "core/cuda/norm_rows.cuh"
#include "core/ops/layer_norm/layer_norm.h"

namespace clausius::ops {
namespace {

template <class T>
void layer_norm_forward_cuda(const Tensor& x,
                             const Tensor& gain,
                             const Tensor& bias,
                             Tensor& y,
                             Tensor& mean,
                             Tensor& rstd,
                             double eps) {
  cuda::norm_forward<T, true>(x, y,
                              {.rows = x.size(0),
                               .width = x.size(1),
                               .eps = eps,
                               .gain = cuda::data_or_null(gain),
                               .bias = cuda::data_or_null(bias),
                               .mean = mean.data<float>(),
                               .rstd = rstd.data<float>()});
}

template <class T>
void layer_norm_backward_cuda(const Tensor& dy,
                              const Tensor& x,
                              const Tensor& gain,
                              const Tensor& mean,
                              const Tensor& rstd,
                              Tensor& dx,
                              Tensor& dgain,
                              Tensor& dbias) {
  cuda::norm_backward<T, true>(dy, x, dx,
                               {.rows = x.size(0),
                                .width = x.size(1),
                                .gain = cuda::data_or_null(gain),
                                .mean = mean.data<float>(),
                                .rstd = rstd.data<float>(),
                                .dgain = cuda::data_or_null(dgain),
                                .dbias = cuda::data_or_null(dbias)});
}

CLS_KERNEL(layer_norm_forward, kCuda, kF32, layer_norm_forward_cuda<float>);
CLS_KERNEL(layer_norm_forward, kCuda, kBf16, layer_norm_forward_cuda<bf16>);
CLS_KERNEL(layer_norm_backward, kCuda, kF32, layer_norm_backward_cuda<float>);
CLS_KERNEL(layer_norm_backward, kCuda, kBf16, layer_norm_backward_cuda<bf16>);

}  // namespace
}  // namespace clausius::ops
