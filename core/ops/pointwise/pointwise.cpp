// SPDX-License-Identifier: Apache-2.0
// Every pointwise op of this folder: checks, kernel tables and the references. The list of ops is
// generated.
#include "core/ops/pointwise.h"

#include "core/error.h"
#include "core/ops/pointwise_tables.h"
#include "core/parallel.h"
#include "core/simd/scalar.h"

// The op's struct, in the scalar meaning.
namespace clausius::simd::scalar_ops {
#define CLS_POINTWISE(name, Struct)
#include "core/ops/pointwise_structs.inc"
#undef CLS_POINTWISE
}  // namespace clausius::simd::scalar_ops

namespace clausius::ops {
namespace {

constexpr std::int64_t kGrain = 1 << 14;

template <class T, class Op>
void forward_reference(const Tensor& x, Tensor& y) {
  const T* in = x.data<T>();
  T* out = y.data<T>();
  parallel_for(x.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      out[i] = Op::forward(in[i]);
    }
  });
}

template <class T, class Op>
void backward_reference(const Tensor& dy, const Tensor& x, Tensor& dx) {
  const T* gradient = dy.data<T>();
  const T* in = x.data<T>();
  T* out = dx.data<T>();
  parallel_for(x.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      out[i] = gradient[i] * Op::derivative(in[i]);
    }
  });
}

Tensor run_forward(const PointwiseForwardTable& table, const Tensor& x) {
  CLS_CHECK(is_floating(x.dtype()), DtypeError, table.op(), " of ", x.dtype(),
            "; expected a floating type");
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  table.run(x.device(), x.dtype(), x.contiguous(), y);
  return y;
}

Tensor run_backward(const PointwiseBackwardTable& table, const Tensor& dy, const Tensor& x) {
  CLS_CHECK(is_floating(x.dtype()) && dy.dtype() == x.dtype(), DtypeError, table.op(), ": dy is ",
            dy.dtype(), " and x is ", x.dtype(), "; expected one floating type");
  CLS_CHECK(dy.shape() == x.shape(), ShapeError, table.op(), ": dy is ", dy.shape(), " and x is ",
            x.shape());
  Tensor dx = Tensor::empty(x.shape(), x.dtype(), x.device());
  table.run(x.device(), x.dtype(), dy.contiguous(), x.contiguous(), dx);
  return dx;
}

}  // namespace

#define CLS_POINTWISE(name, Struct)                                                           \
  PointwiseForwardTable& name##_forward_kernels() {                                           \
    static PointwiseForwardTable table(#name "_forward",                                      \
                                       forward_reference<double, simd::scalar_ops::Struct>,   \
                                       forward_reference<float, simd::scalar_ops::Struct>);   \
    return table;                                                                             \
  }                                                                                           \
  PointwiseBackwardTable& name##_backward_kernels() {                                         \
    static PointwiseBackwardTable table(#name "_backward",                                    \
                                        backward_reference<double, simd::scalar_ops::Struct>, \
                                        backward_reference<float, simd::scalar_ops::Struct>); \
    return table;                                                                             \
  }                                                                                           \
  Tensor name(const Tensor& x) {                                                              \
    return run_forward(name##_forward_kernels(), x);                                          \
  }                                                                                           \
  Tensor name##_backward(const Tensor& dy, const Tensor& x) {                                 \
    return run_backward(name##_backward_kernels(), dy, x);                                    \
  }
#include "core/ops/pointwise_list.inc"
#undef CLS_POINTWISE

}  // namespace clausius::ops
