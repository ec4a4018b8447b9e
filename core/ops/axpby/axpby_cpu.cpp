// SPDX-License-Identifier: Apache-2.0
// CPU kernels of axpby, compiled once per instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/axpby/axpby_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/ops/axpby/axpby.h"
#include "core/ops/strided.h"
#include "core/simd/dispatch.h"
#include "core/simd/operand-inl.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::simd::HWY_NAMESPACE {

// y[i step] = alpha x[i] + beta y[i step].
template <class T>
HWY_INLINE void axpby_run(
    float alpha, const float* x, float beta, T* y, std::int64_t step, std::int64_t count) {
  const Lane a(alpha);
  const Lane b(beta);
  if (step == 1 && beta == 0.0F) {
    for_lanes(count,
              [=](auto part, std::int64_t i) HWY_ATTR { part.store(a * part.load(x + i), y + i); });
  } else if (step == 1) {
    for_lanes(count, [=](auto part, std::int64_t i) HWY_ATTR {
      part.store(mul_add(a, part.load(x + i), b * part.load(y + i)), y + i);
    });
  } else {
    for (std::int64_t i = 0; i < count; ++i) {
      const float before = beta == 0.0F ? 0.0F : beta * static_cast<float>(y[i * step]);
      y[i * step] = T(alpha * x[i] + before);
    }
  }
}

template <class T>
void axpby_runs(double alpha, const Tensor& x, double beta, Tensor& y) {
  const ops::detail::StridedRuns<2> runs({&x, &y});
  const Operand from(x, runs.inner_steps()[0]);
  const std::int64_t step = runs.inner_steps()[1];
  T* to = y.data<T>();
  runs.parallel(1 << 15, [&](const auto& at, std::int64_t count) HWY_ATTR {
    HWY_ALIGN float buffer[kOperandBlock];
    for (std::int64_t done = 0; done < count; done += kOperandBlock) {
      const std::int64_t length = std::min(kOperandBlock, count - done);
      axpby_run(static_cast<float>(alpha), from.read(at[0] + done * from.step(), length, buffer),
                static_cast<float>(beta), to + at[1] + done * step, step, length);
    }
  });
}

void axpby_f32(double alpha, const Tensor& x, double beta, Tensor& y) {
  axpby_runs<float>(alpha, x, beta, y);
}
void axpby_bf16(double alpha, const Tensor& x, double beta, Tensor& y) {
  axpby_runs<bf16>(alpha, x, beta, y);
}

}  // namespace clausius::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace clausius::simd {
CLS_SIMD_KERNEL(axpby, kF32, axpby_f32);
CLS_SIMD_KERNEL(axpby, kBf16, axpby_bf16);
}  // namespace clausius::simd
#endif  // HWY_ONCE
