// SPDX-License-Identifier: Apache-2.0
// y = alpha x + beta y on the CPU.
#include "core/ops/axpby/axpby.h"

#include <algorithm>

#include "core/error.h"
#include "core/parallel.h"

namespace clausius::ops {
namespace {

constexpr std::int64_t kGrainElements = 1 << 15;

template <class Y, class X>
void axpby_run(double alpha, const X* x, double beta, Y* y, std::int64_t count) {
  using Wide = std::conditional_t<std::is_same_v<Y, double>, double, float>;
  const auto a = static_cast<Wide>(alpha);
  const auto b = static_cast<Wide>(beta);
  if (beta == 0.0) {
    for (std::int64_t i = 0; i < count; ++i) {
      y[i] = static_cast<Y>(a * static_cast<Wide>(x[i]));
    }
    return;
  }
  for (std::int64_t i = 0; i < count; ++i) {
    y[i] = static_cast<Y>(a * static_cast<Wide>(x[i]) + b * static_cast<Wide>(y[i]));
  }
}

template <class Y, class X>
void axpby_dense(double alpha, const Tensor& x, double beta, Tensor& y) {
  const X* from = x.data<X>();
  Y* to = y.data<Y>();
  parallel_for(x.numel(), kGrainElements, [&](std::int64_t begin, std::int64_t end) {
    axpby_run(alpha, from + begin, beta, to + begin, end - begin);
  });
}

template <class Fn>
void with_float(Dtype dtype, const Fn& fn) {
  CLS_CHECK(is_floating(dtype), DtypeError, "[axpby] of ", dtype, "; expected a floating type");
  if (dtype == Dtype::kF64) {
    fn(double{});
  } else if (dtype == Dtype::kF32) {
    fn(float{});
  } else {
    fn(bf16{});
  }
}

}  // namespace

void axpby(double alpha, const Tensor& x, double beta, Tensor& y) {
  CLS_CHECK(x.shape() == y.shape(), ShapeError, "[axpby] x is ", x.shape(), ", y is ", y.shape(),
            "; expected one shape");
  if (!y.is_contiguous()) {
    Tensor dense = y.clone();
    axpby(alpha, x, beta, dense);
    return y.copy_from(dense);
  }
  with_float(y.dtype(), [&](auto y_type) {
    with_float(x.dtype(), [&](auto x_type) {
      axpby_dense<decltype(y_type), decltype(x_type)>(alpha, x.contiguous(), beta, y);
    });
  });
}

}  // namespace clausius::ops
