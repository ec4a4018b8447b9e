// SPDX-License-Identifier: Apache-2.0
// CUDA kernels of leaky_relu: blocks of 256, a sixteen-byte vector a thread.
#include "core/cuda/chunk_sums.cuh"
#include "core/ops/leaky_relu/leaky_relu.h"

namespace clausius::ops {
namespace {

template <class T>
__global__ void leaky_relu_kernel(
    std::int64_t n, bool aligned, const float* slope, const T* x, T* y) {
  const float factor = *slope;
  cuda::for_each_vector<T>(n, aligned, [=](auto part, std::int64_t i) {
    part.store(y + i,
               part.map([=](float a) { return a > 0.0F ? a : factor * a; }, part.load(x + i)));
  });
}

template <class T>
void leaky_relu_forward_cuda(const Tensor& x, const Tensor& slope, Tensor& y) {
  cuda::launch(leaky_relu_kernel<T>, cuda::vector_grid<T>(x.numel()), x.numel(),
               cuda::aligned_for_vectors(x.raw(), y.raw()), slope.data<float>(), x.data<T>(),
               y.data<T>());
}

// dx, and dy min(x, 0) for the sum.
template <class T>
struct LeakyBackward {
  const float* slope;
  const T* dy;
  const T* x;
  T* dx;

  template <class Part>
  __device__ void operator()(Part part, std::int64_t i, double (&sum)[1]) const {
    const float factor = *slope;
    const auto gradient = part.load(dy + i);
    const auto value = part.load(x + i);
    auto out = gradient;
    for (int k = 0; k < Part::kWidth; ++k) {
      if (!(value.value[k] > 0.0F)) {
        out.value[k] = factor * gradient.value[k];
        sum[0] += static_cast<double>(gradient.value[k] * value.value[k]);
      }
    }
    part.store(dx + i, out);
  }
};

template <class T>
void leaky_relu_backward_cuda(
    const Tensor& dy, const Tensor& x, const Tensor& slope, Tensor& dx, Tensor& dslope) {
  const LeakyBackward<T> body{slope.data<float>(), dy.data<T>(), x.data<T>(), dx.data<T>()};
  cuda::chunk_sums<T, 1>(x.numel(), cuda::aligned_for_vectors(dy.raw(), x.raw(), dx.raw()), body,
                         x.device(), dslope);
}

CLS_KERNEL(leaky_relu_forward, kCuda, kF32, leaky_relu_forward_cuda<float>);
CLS_KERNEL(leaky_relu_forward, kCuda, kBf16, leaky_relu_forward_cuda<bf16>);
CLS_KERNEL(leaky_relu_backward, kCuda, kF32, leaky_relu_backward_cuda<float>);
CLS_KERNEL(leaky_relu_backward, kCuda, kBf16, leaky_relu_backward_cuda<bf16>);

}  // namespace
}  // namespace clausius::ops
