// SPDX-License-Identifier: Apache-2.0
// Reads any f32 or bf16 operand, dense, repeated or strided, as short dense runs of f32. Read once per instruction set.

#if defined(CLAUSIUS_CORE_SIMD_OPERAND_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CLAUSIUS_CORE_SIMD_OPERAND_INL_H_
#undef CLAUSIUS_CORE_SIMD_OPERAND_INL_H_
#else
#define CLAUSIUS_CORE_SIMD_OPERAND_INL_H_
#endif

#include <algorithm>

#include "core/simd/lane-inl.h"
#include "core/tensor.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::simd::HWY_NAMESPACE {

/// Elements handled at a time: the buffers stay in the first-level cache.
inline constexpr std::int64_t kOperandBlock = 1024;

template <class T>
HWY_INLINE void widen(const T* from, std::int64_t step, std::int64_t count, float* to) {
  if (step == 1) {
    for_lanes(count,
              [=](auto part, std::int64_t i) HWY_ATTR { part.store(part.load(from + i), to + i); });
    return;
  }
  for (std::int64_t i = 0; i < count; ++i) {
    to[i] = static_cast<float>(from[i * step]);
  }
}

class Operand {
 public:
  /// `step` is the distance between elements of a run; 0 repeats one element.
  Operand(const Tensor& tensor, std::int64_t step)
      : data_(tensor.raw()), step_(step), is_bf16_(tensor.dtype() == Dtype::kBf16) {}

  /// `count` <= kOperandBlock elements from `offset` on: the tensor's own memory where it is dense f32, else `buffer`.
  HWY_INLINE const float* read(std::int64_t offset, std::int64_t count, float* buffer) const {
    if (is_bf16_) {
      read_as(reinterpret_cast<const bf16*>(data_) + offset, count, buffer);
      return buffer;
    }
    const float* from = reinterpret_cast<const float*>(data_) + offset;
    if (step_ == 1) {
      return from;
    }
    read_as(from, count, buffer);
    return buffer;
  }
  [[nodiscard]] std::int64_t step() const { return step_; }

 private:
  template <class T>
  HWY_INLINE void read_as(const T* from, std::int64_t count, float* buffer) const {
    if (step_ == 0) {
      std::fill_n(buffer, count, static_cast<float>(*from));
    } else {
      widen(from, step_, count, buffer);
    }
  }

  const std::byte* data_;
  std::int64_t step_;
  bool is_bf16_;
};

}  // namespace clausius::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CLAUSIUS_CORE_SIMD_OPERAND_INL_H_
