// SPDX-License-Identifier: Apache-2.0
// CUDA kernels of accumulate: axpby with ones, whose products are exact.
#include "core/cuda/axpby.cuh"
#include "core/ops/accumulate/accumulate.h"

namespace clausius::ops {
namespace {

template <class T>
void accumulate_cuda(const Tensor& part, Tensor& total) {
  cuda::axpby<T>(1.0, part, 1.0, total);
}

CLS_KERNEL(accumulate, kCuda, kF32, accumulate_cuda<float>);
CLS_KERNEL(accumulate, kCuda, kBf16, accumulate_cuda<bf16>);

}  // namespace
}  // namespace clausius::ops
