// SPDX-License-Identifier: Apache-2.0
// Elementary functions on f32 lanes, each with its largest error in units in the last place as tests/core/simd_math_test.cpp
// measures it on every instruction set. Read once per instruction set.

#if defined(CLAUSIUS_CORE_SIMD_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CLAUSIUS_CORE_SIMD_MATH_INL_H_
#undef CLAUSIUS_CORE_SIMD_MATH_INL_H_
#else
#define CLAUSIUS_CORE_SIMD_MATH_INL_H_
#endif

#include "core/simd/lane-inl.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::simd::HWY_NAMESPACE {

// All functions take every float: zeros, subnormal numbers, infinities and NaN (which comes back as NaN).
// Polynomials are minimax fits (Remez) of the function named beside them, evaluated by Horner's rule.

/// c[0] + c[1] x + c[2] x^2 + ...
template <std::size_t N>
HWY_INLINE Lane polynomial(Lane x, const float (&c)[N]) {
  Lane y(c[N - 1]);
  for (std::size_t i = N - 1; i-- > 0;) {
    y = mul_add(y, x, Lane(c[i]));
  }
  return y;
}

namespace detail {

// ln 2 in two parts; the first has 15 bits, so that n times it is exact.
inline constexpr float kLn2High = 0.693145751953125F;
inline constexpr float kLn2Low = 1.42860682030941723212e-6F;
inline constexpr float kLog2E = 1.44269504088896340736F;

/// x = n ln 2 + r with |r| <= ln 2 / 2, for |x| below 2^21.
struct Reduced {
  Lane r;
  Lane n;
  hn::Vec<Ints> n_int;
};
HWY_INLINE Reduced reduce(Lane x) {
  // Adding 1.5 * 2^23 leaves the nearest integer in the low bits of the mantissa.
  const Lane magic(12582912.0F);
  const Lane shifted = mul_add(x, Lane(kLog2E), magic);
  const Lane n = shifted - magic;
  const Lane r = neg_mul_add(n, Lane(kLn2Low), neg_mul_add(n, Lane(kLn2High), x));
  return {r, n, hn::Sub(hn::BitCast(Ints(), shifted.raw), hn::BitCast(Ints(), magic.raw))};
}

/// 2^n for -126 <= n <= 127.
HWY_INLINE Lane power_of_two(hn::Vec<Ints> n) {
  return Lane(hn::BitCast(Floats(), hn::ShiftLeft<23>(hn::Add(n, hn::Set(Ints(), 127)))));
}

/// y 2^n for |n| <= 254, rounded once: where 2^n alone is infinite or subnormal the product may not be.
HWY_INLINE Lane scale_by_power(Lane y, Lane n, hn::Vec<Ints> n_int) {
#if HWY_TARGET == HWY_AVX3
  // One instruction for nine: exp takes 0.11 instead of 0.15 ns an element.
  static_cast<void>(n_int);
  return Lane(hn::Vec<Floats>{_mm512_scalef_ps(y.raw.raw, n.raw.raw)});
#else
  static_cast<void>(n);
  const auto half = hn::ShiftRight<1>(n_int);
  return y * power_of_two(half) * power_of_two(hn::Sub(n_int, half));
#endif
}

/// x = 2^e m with sqrt(1/2) <= m < sqrt 2, for positive normal x.
struct Split {
  Lane m;
  hn::Vec<Ints> e;
};
HWY_INLINE Split split(Lane x) {
  const Ints ints;
  const auto bits = hn::BitCast(ints, x.raw);
  const auto e = hn::ShiftRight<23>(hn::Sub(bits, hn::Set(ints, 0x3f3504f3)));
  return {Lane(hn::BitCast(Floats(), hn::Sub(bits, hn::ShiftLeft<23>(e)))), e};
}

/// ln(1 + f) + e ln 2 for sqrt(1/2) - 1 <= f <= sqrt 2 - 1.
HWY_INLINE Lane log_of_parts(Lane f, Lane e) {
  // (ln(1 + f) - f + f^2 / 2) / f^3.
  constexpr float kLog[] = {0.333333167148F, -0.250008103614F, 0.200022870142F, -0.166245553609F,
                            0.141811781323F, -0.13128733836F,  0.128817264171F, -0.0785974899663F};
  const Lane square = f * f;
  Lane y = polynomial(f, kLog) * f * square;
  y = mul_add(e, Lane(kLn2Low), y);
  y = neg_mul_add(Lane(0.5F), square, y);
  return mul_add(e, Lane(kLn2High), f + y);
}

/// What logarithms give where the argument is not a positive finite number.
HWY_INLINE Lane log_special(Lane x, Lane y) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const Lane outside =
      select(x == Lane(0.0F), Lane(-kInfinity),
             select(x > Lane(0.0F), x, Lane(std::numeric_limits<float>::quiet_NaN())));
  const Condition inside{
      hn::And(hn::Gt(x.raw, hn::Zero(Floats())), hn::Lt(x.raw, hn::Set(Floats(), kInfinity)))};
  return select(inside, y, outside);
}

}  // namespace detail

/// e^x. ULP: 1.1
HWY_INLINE Lane exp(Lane x) {
  // (e^r - 1 - r) / r^2.
  constexpr float kExp[] = {0.500000010099F, 0.166665128897F, 0.0416661872414F, 0.00836959829435F,
                            0.00139517201212F};
  const detail::Reduced part = detail::reduce(min(max(x, Lane(-104.0F)), Lane(89.0F)));
  const Lane p = mul_add(polynomial(part.r, kExp), part.r * part.r, part.r) + Lane(1.0F);
  return detail::scale_by_power(p, part.n, part.n_int);
}

/// e^x - 1. ULP: 1.8
HWY_INLINE Lane expm1(Lane x) {
  constexpr float kExpm1[] = {0.500000006615F, 0.166665380768F, 0.0416662660284F, 0.00836724382368F,
                              0.00139476108404F};
  const detail::Reduced part = detail::reduce(min(max(x, Lane(-18.0F)), Lane(89.0F)));
  const Lane q = mul_add(polynomial(part.r, kExpm1), part.r * part.r, part.r);
  // 2^128 does not exist: the last doubling comes after.
  const auto n = hn::Min(part.n_int, hn::Set(Ints(), 127));
  const Lane scale = detail::power_of_two(n);
  return mul_add(scale, q, scale - Lane(1.0F)) *
         select(part.n > Lane(127.0F), Lane(2.0F), Lane(1.0F));
}

/// ln x; -inf at 0, NaN below. ULP: 0.9
HWY_INLINE Lane log(Lane x) {
  const Condition subnormal = x < Lane(std::numeric_limits<float>::min());
  const detail::Split part = detail::split(select(subnormal, x * Lane(0x1p25F), x));
  const Lane e = Lane(hn::ConvertTo(Floats(), part.e)) - select(subnormal, Lane(25.0F), Lane(0.0F));
  return detail::log_special(x, detail::log_of_parts(part.m - Lane(1.0F), e));
}

/// ln(1 + x); -inf at -1, NaN below. ULP: 1.5
HWY_INLINE Lane log1p(Lane x) {
  const Lane one(1.0F);
  const Lane u = one + x;
  // What rounding took from 1 + x, scaled as m is.
  const Lane lost = select(x > one, one - (u - x), x - (u - one));
  const detail::Split part = detail::split(u);
  const Lane shrink = detail::power_of_two(hn::Neg(hn::Min(part.e, hn::Set(Ints(), 126))));
  const Lane f = mul_add(lost, shrink, part.m - one);
  return detail::log_special(u, detail::log_of_parts(f, Lane(hn::ConvertTo(Floats(), part.e))));
}

/// ULP: 2.6
HWY_INLINE Lane tanh(Lane x) {
  const Lane t = expm1(Lane(-2.0F) * abs(x));
  return copy_sign(t / (t + Lane(2.0F)), x);
}

/// 1 / (1 + e^-x). ULP: 2.4
HWY_INLINE Lane sigmoid(Lane x) {
  const Lane z = exp(-abs(x));
  return select(x < Lane(0.0F), z, Lane(1.0F)) / (Lane(1.0F) + z);
}

/// ln(1 + e^x). ULP: 2.8
HWY_INLINE Lane softplus(Lane x) {
  // (ln(1 + z) - z) / z^2 for 0 <= z <= 1.
  constexpr float kLog1p[] = {-0.499999327631F,  0.333305113124F,  -0.249585873952F,
                              0.19695400617F,    -0.153553970146F, 0.10680557389F,
                              -0.0576644681658F, 0.0202046000697F, -0.00331847635074F};
  const Lane z = exp(-abs(x));
  return max(x, Lane(0.0F)) + mul_add(z * z, polynomial(z, kLog1p), z);
}

/// 1 / sqrt x; +inf at 0, NaN below. ULP: 1.5
HWY_INLINE Lane rsqrt(Lane x) {
  return Lane(1.0F) / sqrt(x);
}

namespace detail {

/// The Gaussian tail: integral of the normal density from u >= 0 to infinity.
HWY_INLINE Lane normal_tail(Lane u) {
  // tail(u) e^(u^2 / 2) in t = (u - 3) / (u + 3), for u <= 14.5; beyond, the tail is below the smallest number.
  constexpr float kTail[] = {0.121513947514F,     -0.206402620409F,    0.12322504122F,
                             -0.0462132636316F,   0.0061319422992F,    0.0029043874351F,
                             -0.000983288280114F, -0.000339013006646F, 0.000115013754153F,
                             5.31620612867e-5F};
  const Lane bounded = min(u, Lane(14.5F));
  const Lane t = (bounded - Lane(3.0F)) / (bounded + Lane(3.0F));
  // u^2 to twice the precision: its rounding error would be amplified by u^2 / 2.
#if HWY_NATIVE_FMA
  const Lane square = bounded * bounded;
  const Lane rest = mul_add(bounded, bounded, -square);
#else
  const Lane high(hn::BitCast(
      Floats(), hn::And(hn::BitCast(Words(), bounded.raw), hn::Set(Words(), 0xfffff000U))));
  const Lane low = (bounded - high) * (bounded + high);
  const Lane square = high * high + low;
  const Lane rest = low - (square - high * high);
#endif
  const Lane density = exp(Lane(-0.5F) * square);
  return polynomial(t, kTail) * neg_mul_add(Lane(0.5F) * rest, density, density);
}

}  // namespace detail

/// (1 + erf(x / sqrt 2)) / 2, the Gaussian distribution function, to full relative precision in the left tail too. ULP: 10
HWY_INLINE Lane normal_cdf(Lane x) {
  const Lane tail = detail::normal_tail(abs(x));
  return select(x < Lane(0.0F), tail, Lane(1.0F) - tail);
}

/// ULP: 1.3
HWY_INLINE Lane erf(Lane x) {
  // erf(x) / x - 1 in x^2, for |x| <= 1.
  constexpr float kErf[] = {0.12837916573F,    -0.376126258375F,  0.112835852486F,
                            -0.0268538145821F, 0.00518833048259F, -0.000801020269927F,
                            7.85384982843e-5F};
  const Lane size = abs(x);
  const Lane far = neg_mul_add(
      Lane(2.0F), detail::normal_tail(size * Lane(1.41421356237309504880F)), Lane(1.0F));
  return select(size < Lane(1.0F), mul_add(x, polynomial(x * x, kErf), x), copy_sign(far, x));
}

}  // namespace clausius::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CLAUSIUS_CORE_SIMD_MATH_INL_H_
