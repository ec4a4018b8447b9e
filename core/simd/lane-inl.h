// SPDX-License-Identifier: Apache-2.0
// Lane: one SIMD register of f32 behaving like a number, with loads and stores of f32 and bf16. Read once per instruction set.

#if defined(CLAUSIUS_CORE_SIMD_LANE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CLAUSIUS_CORE_SIMD_LANE_INL_H_
#undef CLAUSIUS_CORE_SIMD_LANE_INL_H_
#else
#define CLAUSIUS_CORE_SIMD_LANE_INL_H_
#endif

#include <concepts>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include "core/dtype.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::simd::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Ints = hn::RebindToSigned<Floats>;
using Words = hn::RebindToUnsigned<Floats>;
using HalfWords = hn::Rebind<std::uint16_t, Floats>;

/// Most lanes that any instruction set has.
inline constexpr std::int64_t kMaxLanes = HWY_MAX_BYTES / 4;

/// Comparing lanes gives a condition for select().
struct Condition {
  hn::Mask<Floats> raw;
};

struct Lane {
  hn::Vec<Floats> raw;

  HWY_INLINE Lane() : raw(hn::Zero(Floats())) {}
  HWY_INLINE explicit Lane(hn::Vec<Floats> value) : raw(value) {}
  template <class T>
  requires std::is_arithmetic_v<T> HWY_INLINE explicit Lane(T value)
      : raw(hn::Set(Floats(), static_cast<float>(value))) {}

  [[nodiscard]] static HWY_INLINE std::int64_t size() {
    return static_cast<std::int64_t>(hn::Lanes(Floats()));
  }
};

HWY_INLINE Lane operator+(Lane a, Lane b) {
  return Lane(hn::Add(a.raw, b.raw));
}
HWY_INLINE Lane operator-(Lane a, Lane b) {
  return Lane(hn::Sub(a.raw, b.raw));
}
HWY_INLINE Lane operator*(Lane a, Lane b) {
  return Lane(hn::Mul(a.raw, b.raw));
}
HWY_INLINE Lane operator/(Lane a, Lane b) {
  return Lane(hn::Div(a.raw, b.raw));
}
HWY_INLINE Lane operator-(Lane a) {
  return Lane(hn::Neg(a.raw));
}
HWY_INLINE Condition operator<(Lane a, Lane b) {
  return {hn::Lt(a.raw, b.raw)};
}
HWY_INLINE Condition operator>(Lane a, Lane b) {
  return {hn::Gt(a.raw, b.raw)};
}
HWY_INLINE Condition operator==(Lane a, Lane b) {
  return {hn::Eq(a.raw, b.raw)};
}

HWY_INLINE Lane select(Condition condition, Lane yes, Lane no) {
  return Lane(hn::IfThenElse(condition.raw, yes.raw, no.raw));
}
HWY_INLINE Lane abs(Lane x) {
  return Lane(hn::Abs(x.raw));
}
HWY_INLINE Lane sqrt(Lane x) {
  return Lane(hn::Sqrt(x.raw));
}
/// a * b + c, fused where the instruction set can.
HWY_INLINE Lane mul_add(Lane a, Lane b, Lane c) {
  return Lane(hn::MulAdd(a.raw, b.raw, c.raw));
}
/// c - a * b.
HWY_INLINE Lane neg_mul_add(Lane a, Lane b, Lane c) {
  return Lane(hn::NegMulAdd(a.raw, b.raw, c.raw));
}
HWY_INLINE Lane copy_sign(Lane magnitude, Lane sign) {
  return Lane(hn::CopySign(magnitude.raw, sign.raw));
}

// The first operand comes through when either is NaN. On x86 the instruction returns its second operand then.
#if HWY_ARCH_X86 && HWY_TARGET != HWY_SCALAR
HWY_INLINE Lane max(Lane a, Lane b) {
  return Lane(hn::Max(b.raw, a.raw));
}
HWY_INLINE Lane min(Lane a, Lane b) {
  return Lane(hn::Min(b.raw, a.raw));
}
#else
HWY_INLINE Lane max(Lane a, Lane b) {
  return select(b > a, b, a);
}
HWY_INLINE Lane min(Lane a, Lane b) {
  return select(b < a, b, a);
}
#endif

/// Sum and largest over the lanes.
HWY_INLINE float sum_of(Lane x) {
  return hn::GetLane(hn::SumOfLanes(Floats(), x.raw));
}
HWY_INLINE float max_of(Lane x) {
  return hn::GetLane(hn::MaxOfLanes(Floats(), x.raw));
}

HWY_INLINE Lane load(const float* from) {
  return Lane(hn::LoadU(Floats(), from));
}
HWY_INLINE void store(Lane x, float* to) {
  hn::StoreU(x.raw, Floats(), to);
}

static_assert(sizeof(bf16) == sizeof(std::uint16_t) && std::is_standard_layout_v<bf16>);

/// bf16 widens to f32 exactly.
HWY_INLINE Lane load(const bf16* from) {
  const auto half = hn::LoadU(HalfWords(), reinterpret_cast<const std::uint16_t*>(from));
  return Lane(hn::BitCast(Floats(), hn::ShiftLeft<16>(hn::PromoteTo(Words(), half))));
}
/// Rounds to nearest even; NaN stays NaN.
HWY_INLINE void store(Lane x, bf16* to) {
  const Words words;
  const auto bits = hn::BitCast(words, x.raw);
  const auto upper = hn::ShiftRight<16>(bits);
  const auto odd = hn::And(upper, hn::Set(words, 1U));
  const auto rounded = hn::ShiftRight<16>(hn::Add(bits, hn::Add(odd, hn::Set(words, 0x7fffU))));
  const auto quiet = hn::Or(upper, hn::Set(words, 0x40U));
  const auto is_nan = hn::RebindMask(words, hn::IsNaN(x.raw));
  const auto half = hn::IfThenElse(is_nan, quiet, rounded);
  hn::StoreU(hn::DemoteTo(HalfWords(), hn::BitCast(Ints(), half)), HalfWords(),
             reinterpret_cast<std::uint16_t*>(to));
}

/// Asks for memory that will be read soon: the hardware looks ahead along one long stream, not across the rows that a pass over a
/// row will need next. Any address is fine. (swiglu over rows of 768: 0.60 -> 0.32 ns an element.)
template <class T>
HWY_INLINE void prefetch(const T* from) {
  hwy::Prefetch(from);
}

/// A full register's worth of elements.
struct Whole {
  template <class T>
  [[nodiscard]] HWY_INLINE Lane load(const T* from, float /*rest*/ = 0.0F) const {
    return HWY_NAMESPACE::load(from);
  }
  template <class T>
  HWY_INLINE void store(Lane x, T* to) const {
    HWY_NAMESPACE::store(x, to);
  }
  /// The lanes that count; 0 in the others.
  [[nodiscard]] HWY_INLINE Lane keep(Lane x) const { return x; }
};

/// The last `count` elements, fewer than a register holds: memory beyond them is not touched.
struct Head {
  std::int64_t count;

  /// Lanes beyond the count hold `rest`.
  template <class T>
  [[nodiscard]] HWY_INLINE Lane load(const T* from, float rest = 0.0F) const {
    HWY_ALIGN T buffer[kMaxLanes];
    HWY_NAMESPACE::store(Lane(rest), buffer);
    std::memcpy(buffer, from, static_cast<std::size_t>(count) * sizeof(T));
    return HWY_NAMESPACE::load(static_cast<const T*>(buffer));
  }
  template <class T>
  HWY_INLINE void store(Lane x, T* to) const {
    HWY_ALIGN T buffer[kMaxLanes];
    HWY_NAMESPACE::store(x, buffer);
    std::memcpy(to, buffer, static_cast<std::size_t>(count) * sizeof(T));
  }
  [[nodiscard]] HWY_INLINE Lane keep(Lane x) const {
    return Lane(hn::IfThenElseZero(hn::FirstN(Floats(), static_cast<std::size_t>(count)), x.raw));
  }
};

/// Calls body(part, i) for i = 0, size, 2 size .. covering [0, n): `part` is Whole, and Head for what is left.
/// Write the body as a lambda marked HWY_ATTR that takes `auto part`.
template <class Body>
HWY_INLINE void for_lanes(std::int64_t n, const Body& body) {
  const std::int64_t step = Lane::size();
  std::int64_t i = 0;
  for (; i + step <= n; i += step) {
    body(Whole{}, i);
  }
  if (i < n) {
    body(Head{n - i}, i);
  }
}

}  // namespace clausius::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CLAUSIUS_CORE_SIMD_LANE_INL_H_
