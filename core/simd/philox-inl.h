// SPDX-License-Identifier: Apache-2.0
// Philox 4x32-10 for consecutive blocks, one a lane: the same words as core/random.h. Read once per instruction set.

#if defined(CLAUSIUS_CORE_SIMD_PHILOX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CLAUSIUS_CORE_SIMD_PHILOX_INL_H_
#undef CLAUSIUS_CORE_SIMD_PHILOX_INL_H_
#else
#define CLAUSIUS_CORE_SIMD_PHILOX_INL_H_
#endif

#include "core/random.h"
#include "core/simd/lane-inl.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::simd::HWY_NAMESPACE {

using WordVec = hn::Vec<Words>;

/// Both halves of the 64-bit products of 32-bit lanes.
struct WideProduct {
  WordVec high;
  WordVec low;
};
HWY_INLINE WideProduct multiply_wide(WordVec a, WordVec b) {
#if HWY_TARGET == HWY_SCALAR
  const std::uint64_t product = static_cast<std::uint64_t>(hn::GetLane(a)) * hn::GetLane(b);
  return {hn::Set(Words(), static_cast<std::uint32_t>(product >> 32)),
          hn::Set(Words(), static_cast<std::uint32_t>(product))};
#else
  const WordVec even = hn::BitCast(Words(), hn::MulEven(a, b));
  const WordVec odd = hn::BitCast(Words(), hn::MulEven(hn::DupOdd(a), hn::DupOdd(b)));
  return {hn::OddEven(odd, hn::DupOdd(even)), hn::OddEven(hn::DupEven(odd), even)};
#endif
}

/// Words 4 first .. 4 (first + lanes) - 1 of the stream into `to`, which holds 4 kMaxLanes aligned words.
HWY_INLINE void philox_words(const RandomStream& stream, std::uint32_t first, std::uint32_t* to) {
  const Words words;
  WordVec c0 = hn::Iota(words, first);
  WordVec c1 = hn::Set(words, stream.sample);
  WordVec c2 = hn::Set(words, stream.step);
  WordVec c3 = hn::Set(words, stream.stream);
  auto key_low = static_cast<std::uint32_t>(stream.seed);
  auto key_high = static_cast<std::uint32_t>(stream.seed >> 32);
  const WordVec multiplier_0 = hn::Set(words, 0xD2511F53U);
  const WordVec multiplier_2 = hn::Set(words, 0xCD9E8D57U);
  for (int round = 0; round < 10; ++round) {
    const WideProduct p0 = multiply_wide(multiplier_0, c0);
    const WideProduct p2 = multiply_wide(multiplier_2, c2);
    c0 = hn::Xor(hn::Xor(p2.high, c1), hn::Set(words, key_low));
    c1 = p2.low;
    c2 = hn::Xor(hn::Xor(p0.high, c3), hn::Set(words, key_high));
    c3 = p0.low;
    key_low += 0x9E3779B9U;
    key_high += 0xBB67AE85U;
  }
#if HWY_TARGET == HWY_SCALAR
  hn::Store(c0, words, to);
  hn::Store(c1, words, to + 1);
  hn::Store(c2, words, to + 2);
  hn::Store(c3, words, to + 3);
#else
  hn::StoreInterleaved4(c0, c1, c2, c3, words, to);
#endif
}

}  // namespace clausius::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CLAUSIUS_CORE_SIMD_PHILOX_INL_H_
