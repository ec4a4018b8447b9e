// SPDX-License-Identifier: Apache-2.0
// y = alpha x + beta y over any strides: axpby, and with ones accumulate.
#pragma once

#include <algorithm>

#include "core/cuda/strided.cuh"

namespace clausius::cuda {

// Blocks of 256, a run a thread. beta = 0 reads nothing of y.
template <int W, class X, class Y>
__global__ void axpby_kernel(StridedPlan<2> plan, float alpha, const X* x, float beta, Y* y) {
  for_each_run<W>(plan, [&](const std::int64_t(&at)[2], int count) {
    const std::int64_t step = plan.step[0][1];
    Floats<W> out = load_run<W>(x + at[0], plan.step[0][0], count);
    if (beta == 0.0F) {
      CLS_UNROLL
      for (int i = 0; i < W; ++i) {
        out.value[i] *= alpha;
      }
    } else {
      const Floats<W> before = load_run<W>(y + at[1], step, count);
      CLS_UNROLL
      for (int i = 0; i < W; ++i) {
        out.value[i] = fmaf(alpha, out.value[i], beta * before.value[i]);
      }
    }
    store_run<W>(y + at[1], step, count, out);
  });
}

template <class X, class Y>
void axpby_typed(float alpha, const Tensor& x, float beta, Tensor& y) {
  constexpr int kWidth = std::max(kVectorWidth<X>, kVectorWidth<Y>);
  const std::array<const Tensor*, 2> tensors{&x, &y};
  const StridedPlan<2> plan = strided_plan<2>(tensors);
  if (plan.size[0] >= kWidth && runs_are_aligned<2>(plan, tensors, kWidth)) {
    launch(axpby_kernel<kWidth, X, Y>, run_grid<kWidth>(plan), plan, alpha, x.data<X>(), beta,
           y.data<Y>());
  } else {
    launch(axpby_kernel<1, X, Y>, run_grid<1>(plan), plan, alpha, x.data<X>(), beta, y.data<Y>());
  }
}

/// x is f32 or bf16, y of type Y.
template <class Y>
void axpby(double alpha, const Tensor& x, double beta, Tensor& y) {
  if (x.dtype() == Dtype::kBf16) {
    axpby_typed<bf16, Y>(static_cast<float>(alpha), x, static_cast<float>(beta), y);
  } else {
    axpby_typed<float, Y>(static_cast<float>(alpha), x, static_cast<float>(beta), y);
  }
}

}  // namespace clausius::cuda
