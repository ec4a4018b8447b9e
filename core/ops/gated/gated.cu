// SPDX-License-Identifier: Apache-2.0
// CUDA kernels of the gated units: blocks of 256, a sixteen-byte vector of the output a thread.
#include "core/cuda/runs.cuh"
#include "core/ops/gated/gated.h"
#include "core/simd/scalar.h"

namespace clausius::simd::cuda_gates {
#define CLS_POINTWISE(name, Struct)
#include "core/ops/pointwise/gelu.h"
#include "core/ops/pointwise/relu.h"
#include "core/ops/pointwise/sigmoid.h"
#include "core/ops/pointwise/silu.h"
#undef CLS_POINTWISE

struct Identity {
  template <class L>
  static constexpr L forward(L x) {
    return x;
  }
  template <class L>
  static constexpr L derivative(L /*x*/) {
    return L(1);
  }
};
}  // namespace clausius::simd::cuda_gates

namespace clausius::ops {
namespace {

using cuda::Floats;
using cuda::Split;

template <int W, class T, class Activation>
__global__ void gated_forward_kernel(std::int64_t rows, std::int64_t width, const T* x, T* y) {
  const std::int64_t pieces = width / W;
  for (std::int64_t item = cuda::global_index(); item < rows * pieces;
       item += cuda::global_threads()) {
    const Split at = cuda::split(item, pieces);
    const T* from = x + at.quotient * 2 * width + at.rest * W;
    const Floats<W> gate = cuda::load_floats<W>(from);
    Floats<W> out = cuda::load_floats<W>(from + width);
    CLS_UNROLL
    for (int i = 0; i < W; ++i) {
      out.value[i] *= Activation::forward(gate.value[i]);
    }
    cuda::store_floats<W>(y + item * W, out);
  }
}

template <int W, class T, class Activation>
__global__ void gated_backward_kernel(
    std::int64_t rows, std::int64_t width, const T* dy, const T* x, T* dx) {
  const std::int64_t pieces = width / W;
  for (std::int64_t item = cuda::global_index(); item < rows * pieces;
       item += cuda::global_threads()) {
    const Split at = cuda::split(item, pieces);
    const std::int64_t first = at.quotient * 2 * width + at.rest * W;
    const Floats<W> gradient = cuda::load_floats<W>(dy + item * W);
    const Floats<W> gate = cuda::load_floats<W>(x + first);
    const Floats<W> value = cuda::load_floats<W>(x + first + width);
    Floats<W> dgate;
    Floats<W> dvalue;
    CLS_UNROLL
    for (int i = 0; i < W; ++i) {
      dgate.value[i] = gradient.value[i] * value.value[i] * Activation::derivative(gate.value[i]);
      dvalue.value[i] = gradient.value[i] * Activation::forward(gate.value[i]);
    }
    cuda::store_floats<W>(dx + first, dgate);
    cuda::store_floats<W>(dx + first + width, dvalue);
  }
}

// fn(the gate's struct).
template <class Fn>
void with_gate(Gate gate, const Fn& fn) {
  switch (gate) {
    case Gate::kSilu:
      return fn(simd::cuda_gates::Silu{});
    case Gate::kGelu:
      return fn(simd::cuda_gates::Gelu{});
    case Gate::kIdentity:
      return fn(simd::cuda_gates::Identity{});
    case Gate::kSigmoid:
      return fn(simd::cuda_gates::Sigmoid{});
    case Gate::kRelu:
      return fn(simd::cuda_gates::Relu{});
  }
}

template <class T>
void gated_forward_cuda(const Tensor& x, Tensor& y, Gate gate) {
  constexpr int kWidth = cuda::kVectorWidth<T>;
  const std::int64_t width = y.size(1);
  const bool vectors = width % kWidth == 0 && cuda::aligned_for_vectors(x.raw(), y.raw());
  with_gate(gate, [&](auto activation) {
    using Activation = decltype(activation);
    cuda::launch(vectors ? gated_forward_kernel<kWidth, T, Activation>
                         : gated_forward_kernel<1, T, Activation>,
                 cuda::grid_over(y.numel() / (vectors ? kWidth : 1)), y.size(0), width, x.data<T>(),
                 y.data<T>());
  });
}

template <class T>
void gated_backward_cuda(const Tensor& dy, const Tensor& x, Tensor& dx, Gate gate) {
  constexpr int kWidth = cuda::kVectorWidth<T>;
  const std::int64_t width = dy.size(1);
  const bool vectors =
      width % kWidth == 0 && cuda::aligned_for_vectors(dy.raw(), x.raw(), dx.raw());
  with_gate(gate, [&](auto activation) {
    using Activation = decltype(activation);
    cuda::launch(vectors ? gated_backward_kernel<kWidth, T, Activation>
                         : gated_backward_kernel<1, T, Activation>,
                 cuda::grid_over(dy.numel() / (vectors ? kWidth : 1)), dy.size(0), width,
                 dy.data<T>(), x.data<T>(), dx.data<T>());
  });
}

CLS_KERNEL(gated_forward, kCuda, kF32, gated_forward_cuda<float>);
CLS_KERNEL(gated_forward, kCuda, kBf16, gated_forward_cuda<bf16>);
CLS_KERNEL(gated_backward, kCuda, kF32, gated_backward_cuda<float>);
CLS_KERNEL(gated_backward, kCuda, kBf16, gated_backward_cuda<bf16>);

}  // namespace
}  // namespace clausius::ops
