// SPDX-License-Identifier: Apache-2.0
// CUDA kernel of scale: blocks of 256, a sixteen-byte vector a thread.
#include "core/cuda/vec.cuh"
#include "core/ops/scale/scale.h"

namespace clausius::ops {
namespace {

template <class T>
__global__ void scale_kernel(std::int64_t n, bool aligned, float factor, const T* x, T* y) {
  cuda::for_each_vector<T>(n, aligned, [=](auto part, std::int64_t i) {
    part.store(y + i, part.map([=](float a) { return factor * a; }, part.load(x + i)));
  });
}

template <class T>
void scale_cuda(const Tensor& x, Tensor& y, double factor) {
  cuda::launch(scale_kernel<T>, cuda::vector_grid<T>(x.numel()), x.numel(),
               cuda::aligned_for_vectors(x.raw(), y.raw()), static_cast<float>(factor), x.data<T>(),
               y.data<T>());
}

CLS_KERNEL(scale, kCuda, kF32, scale_cuda<float>);
CLS_KERNEL(scale, kCuda, kBf16, scale_cuda<bf16>);

}  // namespace
}  // namespace clausius::ops
