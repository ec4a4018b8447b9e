// SPDX-License-Identifier: Apache-2.0
// CUDA kernels of every pointwise op of this folder: the op's struct on float, four elements a thread where memory is aligned.
#include "core/cuda/launch.cuh"
#include "core/cuda/vec.cuh"
#include "core/ops/pointwise_tables.h"
#include "core/simd/scalar.h"

namespace clausius::simd::cuda_ops {
#define CLS_POINTWISE(name, Struct)
#include "core/ops/pointwise_structs.inc"
#undef CLS_POINTWISE
}  // namespace clausius::simd::cuda_ops

namespace clausius::ops {
namespace {

template <class T, class Op>
__global__ void pointwise_forward_kernel(std::int64_t n, bool aligned, const T* x, T* y) {
  cuda::for_each_vector<T>(n, aligned, [=](auto part, std::int64_t i) {
    part.store(y + i, part.map([](float a) { return Op::forward(a); }, part.load(x + i)));
  });
}

template <class T, class Op>
__global__ void pointwise_backward_kernel(
    std::int64_t n, bool aligned, const T* dy, const T* x, T* dx) {
  cuda::for_each_vector<T>(n, aligned, [=](auto part, std::int64_t i) {
    part.store(dx + i, part.map([](float g, float a) { return g * Op::derivative(a); },
                                part.load(dy + i), part.load(x + i)));
  });
}

template <class T, class Op>
void pointwise_forward_cuda(const Tensor& x, Tensor& y) {
  cuda::launch(pointwise_forward_kernel<T, Op>, cuda::vector_grid<T>(x.numel()), x.numel(),
               cuda::aligned_for_vectors(x.raw(), y.raw()), x.data<T>(), y.data<T>());
}

template <class T, class Op>
void pointwise_backward_cuda(const Tensor& dy, const Tensor& x, Tensor& dx) {
  cuda::launch(pointwise_backward_kernel<T, Op>, cuda::vector_grid<T>(x.numel()), x.numel(),
               cuda::aligned_for_vectors(dy.raw(), x.raw(), dx.raw()), dy.data<T>(), x.data<T>(),
               dx.data<T>());
}

#define CLS_POINTWISE(name, Struct)                                                               \
  CLS_KERNEL(name##_forward, kCuda, kF32, pointwise_forward_cuda<float, simd::cuda_ops::Struct>); \
  CLS_KERNEL(name##_forward, kCuda, kBf16, pointwise_forward_cuda<bf16, simd::cuda_ops::Struct>); \
  CLS_KERNEL(name##_backward, kCuda, kF32,                                                        \
             pointwise_backward_cuda<float, simd::cuda_ops::Struct>);                             \
  CLS_KERNEL(name##_backward, kCuda, kBf16, pointwise_backward_cuda<bf16, simd::cuda_ops::Struct>);
#include "core/ops/pointwise_list.inc"
#undef CLS_POINTWISE

}  // namespace
}  // namespace clausius::ops
