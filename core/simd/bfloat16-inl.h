// SPDX-License-Identifier: Apache-2.0
// float lanes from and to memory of f32 or bf16. Per-target code: include after <hwy/highway.h>.
#if defined(CLAUSIUS_CORE_SIMD_BFLOAT16_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef CLAUSIUS_CORE_SIMD_BFLOAT16_INL_H
#undef CLAUSIUS_CORE_SIMD_BFLOAT16_INL_H
#else
#define CLAUSIUS_CORE_SIMD_BFLOAT16_INL_H
#endif

#include <hwy/highway.h>

#include "core/dtype.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::simd::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <class D>
HWY_INLINE hn::Vec<D> load_f32(D d, const float* from) {
  return hn::LoadU(d, from);
}

template <class D>
HWY_INLINE hn::Vec<D> load_f32(D d, const bf16* from) {
  const hn::Rebind<std::uint16_t, D> d16;
  const hn::RebindToUnsigned<D> d32;
  const auto bits = hn::LoadU(d16, reinterpret_cast<const std::uint16_t*>(from));
  return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(d32, bits)));
}

template <class D>
HWY_INLINE void store_f32(hn::Vec<D> x, D d, float* to) {
  hn::StoreU(x, d, to);
}

/// Rounds to nearest even; NaN stays NaN.
template <class D>
HWY_INLINE void store_f32(hn::Vec<D> x, D /*d*/, bf16* to) {
  const hn::Rebind<std::uint16_t, D> d16;
  const hn::RebindToUnsigned<D> d32;
  const hn::RebindToSigned<D> di32;
  const auto bits = hn::BitCast(d32, x);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(d32, 1U));
  const auto rounded = hn::ShiftRight<16>(hn::Add(hn::Add(bits, hn::Set(d32, 0x7fffU)), odd));
  const auto quiet = hn::Or(hn::ShiftRight<16>(bits), hn::Set(d32, 0x40U));
  const auto result = hn::IfThenElse(hn::RebindMask(d32, hn::IsNaN(x)), quiet, rounded);
  hn::StoreU(hn::DemoteTo(d16, hn::BitCast(di32, result)), d16,
             reinterpret_cast<std::uint16_t*>(to));
}

}  // namespace clausius::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CLAUSIUS_CORE_SIMD_BFLOAT16_INL_H
