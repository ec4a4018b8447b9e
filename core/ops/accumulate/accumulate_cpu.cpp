// SPDX-License-Identifier: Apache-2.0
// CPU kernels of accumulate, compiled once per instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/accumulate/accumulate_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/ops/accumulate/accumulate.h"
#include "core/ops/strided.h"
#include "core/simd/dispatch.h"
#include "core/simd/operand-inl.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::simd::HWY_NAMESPACE {

template <class T>
void accumulate_runs(const Tensor& part_tensor, Tensor& total) {
  const ops::detail::StridedRuns<2> runs({&part_tensor, &total});
  const Operand from(part_tensor, runs.inner_steps()[0]);
  const std::int64_t step = runs.inner_steps()[1];
  T* to = total.data<T>();
  runs.parallel(1 << 15, [&](const auto& at, std::int64_t count) HWY_ATTR {
    HWY_ALIGN float buffer[kOperandBlock];
    for (std::int64_t done = 0; done < count; done += kOperandBlock) {
      const std::int64_t length = std::min(kOperandBlock, count - done);
      const float* x = from.read(at[0] + done * from.step(), length, buffer);
      T* y = to + at[1] + done * step;
      if (step == 1) {
        for_lanes(length, [=](auto part, std::int64_t i)
                              HWY_ATTR { part.store(part.load(y + i) + part.load(x + i), y + i); });
        continue;
      }
      for (std::int64_t i = 0; i < length; ++i) {
        y[i * step] = T(static_cast<float>(y[i * step]) + x[i]);
      }
    }
  });
}

void accumulate_f32(const Tensor& part, Tensor& total) {
  accumulate_runs<float>(part, total);
}
void accumulate_bf16(const Tensor& part, Tensor& total) {
  accumulate_runs<bf16>(part, total);
}

}  // namespace clausius::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace clausius::simd {
CLS_SIMD_KERNEL(accumulate, kF32, accumulate_f32);
CLS_SIMD_KERNEL(accumulate, kBf16, accumulate_bf16);
}  // namespace clausius::simd
#endif  // HWY_ONCE
