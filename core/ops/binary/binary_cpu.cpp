// SPDX-License-Identifier: Apache-2.0
// CPU kernels of binary arithmetic, compiled once per instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/binary/binary_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/ops/binary/binary.h"
#include "core/ops/strided.h"
#include "core/simd/dispatch.h"
#include "core/simd/operand-inl.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::simd::HWY_NAMESPACE {

template <class T, class Op>
void binary_runs(const Tensor& a, const Tensor& b, Tensor& y, const Op& op) {
  const ops::detail::StridedRuns<3> runs({&a, &b, &y});
  const Operand from_a(a, runs.inner_steps()[0]);
  const Operand from_b(b, runs.inner_steps()[1]);
  T* to = y.data<T>();
  runs.parallel(1 << 15, [&](const auto& at, std::int64_t count) HWY_ATTR {
    HWY_ALIGN float buffer_a[kOperandBlock];
    HWY_ALIGN float buffer_b[kOperandBlock];
    for (std::int64_t done = 0; done < count; done += kOperandBlock) {
      const std::int64_t length = std::min(kOperandBlock, count - done);
      const float* x = from_a.read(at[0] + done * from_a.step(), length, buffer_a);
      const float* z = from_b.read(at[1] + done * from_b.step(), length, buffer_b);
      T* out = to + at[2] + done;
      for_lanes(length, [=](auto part, std::int64_t i) HWY_ATTR {
        part.store(op(part.load(x + i), part.load(z + i)), out + i);
      });
    }
  });
}

template <class T>
void binary_typed(const Tensor& a, const Tensor& b, Tensor& y, ops::BinaryOp op) {
  switch (op) {
    case ops::BinaryOp::kAdd:
      return binary_runs<T>(a, b, y, [](Lane p, Lane q) HWY_ATTR { return p + q; });
    case ops::BinaryOp::kSub:
      return binary_runs<T>(a, b, y, [](Lane p, Lane q) HWY_ATTR { return p - q; });
    case ops::BinaryOp::kMul:
      return binary_runs<T>(a, b, y, [](Lane p, Lane q) HWY_ATTR { return p * q; });
    case ops::BinaryOp::kDiv:
      return binary_runs<T>(a, b, y, [](Lane p, Lane q) HWY_ATTR { return p / q; });
  }
}

void binary_f32(const Tensor& a, const Tensor& b, Tensor& y, ops::BinaryOp op) {
  binary_typed<float>(a, b, y, op);
}
void binary_bf16(const Tensor& a, const Tensor& b, Tensor& y, ops::BinaryOp op) {
  binary_typed<bf16>(a, b, y, op);
}

}  // namespace clausius::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace clausius::simd {
CLS_SIMD_KERNEL(binary, kF32, binary_f32);
CLS_SIMD_KERNEL(binary, kBf16, binary_bf16);
}  // namespace clausius::simd
#endif  // HWY_ONCE
