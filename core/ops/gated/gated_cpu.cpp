// SPDX-License-Identifier: Apache-2.0
// CPU kernels of the gated units, compiled once per instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/gated/gated_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/ops/gated/gated.h"
#include "core/parallel.h"
#include "core/simd/dispatch.h"
#include "core/simd/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::simd::HWY_NAMESPACE {

#define CLS_POINTWISE(name, Struct)
#include "core/ops/pointwise/gelu.h"
#include "core/ops/pointwise/relu.h"
#include "core/ops/pointwise/sigmoid.h"
#include "core/ops/pointwise/silu.h"
#undef CLS_POINTWISE

struct Identity {
  template <class L>
  static L forward(L x) {
    return x;
  }
  template <class L>
  static L derivative(L /*x*/) {
    return L(1);
  }
};

constexpr std::int64_t kGatedGrain = 1 << 14;

template <class T, class Activation>
void gated_forward_rows(const Tensor& x, Tensor& y) {
  const std::int64_t width = y.size(1);
  const T* from = x.data<T>();
  T* to = y.data<T>();
  parallel_for(y.size(0), std::max<std::int64_t>(1, kGatedGrain / width),
               [=](std::int64_t begin, std::int64_t end) HWY_ATTR {
                 for (std::int64_t row = begin; row < end; ++row) {
                   const T* gate = from + row * 2 * width;
                   const T* value = gate + width;
                   T* out = to + row * width;
                   for_lanes(width, [=](auto part, std::int64_t i) HWY_ATTR {
                     prefetch(gate + 2 * width + i);
                     prefetch(value + 2 * width + i);
                     part.store(Activation::forward(part.load(gate + i)) * part.load(value + i),
                                out + i);
                   });
                 }
               });
}

template <class T, class Activation>
void gated_backward_rows(const Tensor& dy, const Tensor& x, Tensor& dx) {
  const std::int64_t width = dy.size(1);
  const T* gradients = dy.data<T>();
  const T* from = x.data<T>();
  T* to = dx.data<T>();
  parallel_for(dy.size(0), std::max<std::int64_t>(1, kGatedGrain / width),
               [=](std::int64_t begin, std::int64_t end) HWY_ATTR {
                 for (std::int64_t row = begin; row < end; ++row) {
                   const T* gradient = gradients + row * width;
                   const T* gate = from + row * 2 * width;
                   const T* value = gate + width;
                   T* dgate = to + row * 2 * width;
                   T* dvalue = dgate + width;
                   for_lanes(width, [=](auto part, std::int64_t i) HWY_ATTR {
                     prefetch(gate + 2 * width + i);
                     prefetch(value + 2 * width + i);
                     const Lane dout = part.load(gradient + i);
                     const Lane g = part.load(gate + i);
                     part.store(dout * part.load(value + i) * Activation::derivative(g), dgate + i);
                     part.store(dout * Activation::forward(g), dvalue + i);
                   });
                 }
               });
}

template <class T>
void gated_forward_typed(const Tensor& x, Tensor& y, ops::Gate gate) {
  switch (gate) {
    case ops::Gate::kSilu:
      return gated_forward_rows<T, Silu>(x, y);
    case ops::Gate::kGelu:
      return gated_forward_rows<T, Gelu>(x, y);
    case ops::Gate::kIdentity:
      return gated_forward_rows<T, Identity>(x, y);
    case ops::Gate::kSigmoid:
      return gated_forward_rows<T, Sigmoid>(x, y);
    case ops::Gate::kRelu:
      return gated_forward_rows<T, Relu>(x, y);
  }
}

template <class T>
void gated_backward_typed(const Tensor& dy, const Tensor& x, Tensor& dx, ops::Gate gate) {
  switch (gate) {
    case ops::Gate::kSilu:
      return gated_backward_rows<T, Silu>(dy, x, dx);
    case ops::Gate::kGelu:
      return gated_backward_rows<T, Gelu>(dy, x, dx);
    case ops::Gate::kIdentity:
      return gated_backward_rows<T, Identity>(dy, x, dx);
    case ops::Gate::kSigmoid:
      return gated_backward_rows<T, Sigmoid>(dy, x, dx);
    case ops::Gate::kRelu:
      return gated_backward_rows<T, Relu>(dy, x, dx);
  }
}

void gated_forward_f32(const Tensor& x, Tensor& y, ops::Gate gate) {
  gated_forward_typed<float>(x, y, gate);
}
void gated_forward_bf16(const Tensor& x, Tensor& y, ops::Gate gate) {
  gated_forward_typed<bf16>(x, y, gate);
}
void gated_backward_f32(const Tensor& dy, const Tensor& x, Tensor& dx, ops::Gate gate) {
  gated_backward_typed<float>(dy, x, dx, gate);
}
void gated_backward_bf16(const Tensor& dy, const Tensor& x, Tensor& dx, ops::Gate gate) {
  gated_backward_typed<bf16>(dy, x, dx, gate);
}

}  // namespace clausius::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace clausius::simd {
CLS_SIMD_KERNEL(gated_forward, kF32, gated_forward_f32);
CLS_SIMD_KERNEL(gated_forward, kBf16, gated_forward_bf16);
CLS_SIMD_KERNEL(gated_backward, kF32, gated_backward_f32);
CLS_SIMD_KERNEL(gated_backward, kBf16, gated_backward_bf16);
}  // namespace clausius::simd
#endif  // HWY_ONCE
