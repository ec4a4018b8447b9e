// SPDX-License-Identifier: Apache-2.0
// CUDA kernels of softmax: a warp or a block a row (core/cuda/rows.cuh), one read and one write where a row fits in registers.
#include "core/cuda/rows.cuh"
#include "core/ops/softmax/softmax.h"

namespace clausius::ops {
namespace {

using cuda::Floats;

template <class T, class Layout>
__global__ void __launch_bounds__(cuda::kMostRowThreads)
    softmax_forward_kernel(std::int64_t rows, std::int64_t width, const T* x, T* y) {
  const std::int64_t row = Layout::first_row();
  if (row >= rows) {
    return;  // a whole warp
  }
  const float lowest = -INFINITY;
  const cuda::RowValues<T, Layout> values(x + row * width, width);
  float largest[1] = {lowest};
  cuda::for_each_in_row<Layout>(width, [&](int k, std::int64_t i) {
    const auto part = values.at(k, i);
    CLS_UNROLL
    for (const float value : part.value) {
      largest[0] = cuda::Max{}(largest[0], value);
    }
  });
  cuda::row_reduce<Layout, cuda::Max>(largest, lowest);
  // A row without a number above -inf is zeros; a NaN among them has come through as the largest.
  const bool masked = largest[0] == lowest;
  const float shift = masked ? 0.0F : largest[0];
  using Sum = cuda::RowSum<Layout>;
  Sum sum[1] = {0};
  Floats<Layout::kWidth> powers[Layout::kKept];
  cuda::for_each_in_row<Layout>(width, [&](int k, std::int64_t i) {
    const auto part = values.at(k, i);
    float total = 0.0F;
    CLS_UNROLL
    for (int j = 0; j < Layout::kWidth; ++j) {
      powers[k].value[j] = expf(part.value[j] - shift);
      total += powers[k].value[j];
    }
    sum[0] += static_cast<Sum>(total);
  });
  cuda::row_reduce<Layout, cuda::Add>(sum, Sum(0));
  const float scale = masked ? 0.0F : static_cast<float>(Sum(1) / sum[0]);
  cuda::for_each_in_row<Layout>(width, [&](int k, std::int64_t i) {
    Floats<Layout::kWidth> out = Layout::kVectors > 0 ? powers[k] : values.at(k, i);
    CLS_UNROLL
    for (float& value : out.value) {
      value = scale * (Layout::kVectors > 0 ? value : expf(value - shift));
    }
    cuda::store_floats<Layout::kWidth>(y + row * width + i, out);
  });
}

template <class T, class Layout>
__global__ void __launch_bounds__(cuda::kMostRowThreads)
    softmax_backward_kernel(std::int64_t rows, std::int64_t width, const T* dy, const T* y, T* dx) {
  const std::int64_t row = Layout::first_row();
  if (row >= rows) {
    return;  // a whole warp
  }
  const cuda::RowValues<T, Layout> gradients(dy + row * width, width);
  const cuda::RowValues<T, Layout> probabilities(y + row * width, width);
  using Sum = cuda::RowSum<Layout>;
  Sum sum[1] = {0};
  cuda::for_each_in_row<Layout>(width, [&](int k, std::int64_t i) {
    const auto gradient = gradients.at(k, i);
    const auto probability = probabilities.at(k, i);
    float total = 0.0F;
    CLS_UNROLL
    for (int j = 0; j < Layout::kWidth; ++j) {
      total = fmaf(gradient.value[j], probability.value[j], total);
    }
    sum[0] += static_cast<Sum>(total);
  });
  cuda::row_reduce<Layout, cuda::Add>(sum, Sum(0));
  const auto average = static_cast<float>(sum[0]);
  cuda::for_each_in_row<Layout>(width, [&](int k, std::int64_t i) {
    const auto gradient = gradients.at(k, i);
    Floats<Layout::kWidth> out = probabilities.at(k, i);
    CLS_UNROLL
    for (int j = 0; j < Layout::kWidth; ++j) {
      out.value[j] *= gradient.value[j] - average;
    }
    cuda::store_floats<Layout::kWidth>(dx + row * width + i, out);
  });
}

template <class T>
void softmax_forward_cuda(const Tensor& x, Tensor& y) {
  cuda::with_row_layout<T>(x.size(0), x.size(1), cuda::aligned_for_vectors(x.raw(), y.raw()),
                           [&](auto layout, const cuda::LaunchConfig& config) {
                             cuda::launch(softmax_forward_kernel<T, decltype(layout)>, config,
                                          x.size(0), x.size(1), x.data<T>(), y.data<T>());
                           });
}

template <class T>
void softmax_backward_cuda(const Tensor& dy, const Tensor& y, Tensor& dx) {
  cuda::with_row_layout<T>(
      y.size(0), y.size(1), cuda::aligned_for_vectors(dy.raw(), y.raw(), dx.raw()),
      [&](auto layout, const cuda::LaunchConfig& config) {
        cuda::launch(softmax_backward_kernel<T, decltype(layout)>, config, y.size(0), y.size(1),
                     dy.data<T>(), y.data<T>(), dx.data<T>());
      });
}

CLS_KERNEL(softmax_forward, kCuda, kF32, softmax_forward_cuda<float>);
CLS_KERNEL(softmax_forward, kCuda, kBf16, softmax_forward_cuda<bf16>);
CLS_KERNEL(softmax_backward, kCuda, kF32, softmax_backward_cuda<float>);
CLS_KERNEL(softmax_backward, kCuda, kBf16, softmax_backward_cuda<bf16>);

}  // namespace
}  // namespace clausius::ops
