// SPDX-License-Identifier: Apache-2.0
// CUDA kernels of scaled_add: blocks of 256, a sixteen-byte vector of each side a thread.
#include "core/cuda/chunk_sums.cuh"
#include "core/ops/scaled_add/scaled_add.h"

namespace clausius::ops {
namespace {

template <class T>
__global__ void scaled_add_kernel(std::int64_t n,
                                  bool aligned,
                                  const T* a,
                                  const float* a_factor,
                                  const T* b,
                                  const float* b_factor,
                                  T* y) {
  const float p = *a_factor;
  const float q = *b_factor;
  cuda::for_each_vector<T>(n, aligned, [=](auto part, std::int64_t i) {
    part.store(y + i, part.map([=](float u, float v) { return fmaf(p, u, q * v); },
                               part.load(a + i), part.load(b + i)));
  });
}

template <class T>
void scaled_add_forward_cuda(
    const Tensor& a, const Tensor& a_factor, const Tensor& b, const Tensor& b_factor, Tensor& y) {
  cuda::launch(scaled_add_kernel<T>, cuda::vector_grid<T>(a.numel()), a.numel(),
               cuda::aligned_for_vectors(a.raw(), b.raw(), y.raw()), a.data<T>(),
               a_factor.data<float>(), b.data<T>(), b_factor.data<float>(), y.data<T>());
}

// Both gradients, and dy a and dy b for the sums.
template <class T>
struct ScaledAddBackward {
  const T* dy;
  const T* a;
  const float* a_factor;
  const T* b;
  const float* b_factor;
  T* da;
  T* db;

  template <class Part>
  __device__ void operator()(Part part, std::int64_t i, double (&sum)[2]) const {
    const float p = *a_factor;
    const float q = *b_factor;
    const auto gradient = part.load(dy + i);
    const auto of_a = part.load(a + i);
    const auto of_b = part.load(b + i);
    for (int k = 0; k < Part::kWidth; ++k) {
      sum[0] += static_cast<double>(gradient.value[k] * of_a.value[k]);
      sum[1] += static_cast<double>(gradient.value[k] * of_b.value[k]);
    }
    part.store(da + i, part.map([=](float g) { return p * g; }, gradient));
    part.store(db + i, part.map([=](float g) { return q * g; }, gradient));
  }
};

template <class T>
void scaled_add_backward_cuda(const Tensor& dy,
                              const Tensor& a,
                              const Tensor& a_factor,
                              const Tensor& b,
                              const Tensor& b_factor,
                              Tensor& da,
                              Tensor& db,
                              Tensor& sums) {
  const ScaledAddBackward<T> body{
      dy.data<T>(), a.data<T>(), a_factor.data<float>(), b.data<T>(), b_factor.data<float>(),
      da.data<T>(), db.data<T>()};
  cuda::chunk_sums<T, 2>(a.numel(),
                         cuda::aligned_for_vectors(dy.raw(), a.raw(), b.raw(), da.raw(), db.raw()),
                         body, a.device(), sums);
}

CLS_KERNEL(scaled_add_forward, kCuda, kF32, scaled_add_forward_cuda<float>);
CLS_KERNEL(scaled_add_forward, kCuda, kBf16, scaled_add_forward_cuda<bf16>);
CLS_KERNEL(scaled_add_backward, kCuda, kF32, scaled_add_backward_cuda<float>);
CLS_KERNEL(scaled_add_backward, kCuda, kBf16, scaled_add_backward_cuda<bf16>);

}  // namespace
}  // namespace clausius::ops
