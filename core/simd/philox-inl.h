// SPDX-License-Identifier: Apache-2.0
// Philox 4x32-10 for consecutive blocks, side by side: the same words as core/random.h. Read once per instruction set.

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

#if HWY_TARGET == HWY_SCALAR

class PhiloxBlocks {
 public:
  explicit PhiloxBlocks(const RandomStream& stream) : stream_(stream) {}
  void words(std::uint32_t first, std::uint32_t* to) const {
    const PhiloxBlock block = stream_.block(first);
    std::copy(block.begin(), block.end(), to);
  }

 private:
  RandomStream stream_;
};

#else

using Pairs = hn::Repartition<std::uint64_t, Floats>;
using PairVec = hn::Vec<Pairs>;

/// As many consecutive blocks of one stream as there are f32 lanes. Counter words sit in the lower halves of 64-bit lanes, where
/// the widening multiplication wants them; what collects in the upper halves never comes down.
class PhiloxBlocks {
 public:
  HWY_INLINE explicit PhiloxBlocks(const RandomStream& stream) : stream_(stream) {
    // Block numbers by lane, so that store() writes the blocks in order.
    const std::size_t lanes = hn::Lanes(Pairs());
    for (std::size_t i = 0; i < lanes; ++i) {
      order_[i] = i / 2 + (i % 2) * (lanes / 2);
    }
  }

  /// Words 4 first .. 4 (first + lanes) - 1 into `to`, which holds 4 kMaxLanes aligned words.
  HWY_INLINE void words(std::uint32_t first, std::uint32_t* to) const {
    const Pairs pairs;
    const std::uint64_t lanes = hn::Lanes(pairs);
    const PairVec order = hn::Load(pairs, order_);
    const PairVec c1 = hn::Set(pairs, std::uint64_t{stream_.sample});
    const PairVec c2 = hn::Set(pairs, std::uint64_t{stream_.step});
    const PairVec c3 = hn::Set(pairs, std::uint64_t{stream_.stream});
    // Two sets of blocks, so that their multiplications overlap.
    State a{hn::Add(order, hn::Set(pairs, std::uint64_t{first})), c1, c2, c3};
    State b{hn::Add(order, hn::Set(pairs, first + lanes)), c1, c2, c3};
    auto key_low = static_cast<std::uint32_t>(stream_.seed);
    auto key_high = static_cast<std::uint32_t>(stream_.seed >> 32);
    for (int i = 0; i < 10; ++i) {
      a = round(a, key_low, key_high);
      b = round(b, key_low, key_high);
      key_low += 0x9E3779B9U;
      key_high += 0xBB67AE85U;
    }
    store(a, to);
    store(b, to + 4 * lanes);
  }

 private:
  struct State {
    PairVec c0;
    PairVec c1;
    PairVec c2;
    PairVec c3;
  };

  static HWY_INLINE PairVec multiply(std::uint32_t factor, PairVec x) {
    return hn::MulEven(hn::Set(Words(), factor), hn::BitCast(Words(), x));
  }

  static HWY_INLINE State round(const State& s, std::uint32_t key_low, std::uint32_t key_high) {
    const PairVec p0 = multiply(0xD2511F53U, s.c0);
    const PairVec p2 = multiply(0xCD9E8D57U, s.c2);
    const PairVec k0 = hn::Set(Pairs(), std::uint64_t{key_low});
    const PairVec k1 = hn::Set(Pairs(), std::uint64_t{key_high});
    return {hn::Xor3(hn::ShiftRight<32>(p2), s.c1, k0), p2,
            hn::Xor3(hn::ShiftRight<32>(p0), s.c3, k1), p0};
  }

  static HWY_INLINE PairVec join(PairVec low, PairVec high) {
    const Words words;
    return hn::BitCast(
        Pairs(), hn::OddEven(hn::BitCast(words, hn::ShiftLeft<32>(high)), hn::BitCast(words, low)));
  }

  /// The four words of each block side by side: the even lanes' blocks, then the odd lanes'.
  static HWY_INLINE void store(const State& s, std::uint32_t* to) {
    const Words words;
    const PairVec first = join(s.c0, s.c1);
    const PairVec second = join(s.c2, s.c3);
    hn::Store(hn::BitCast(words, hn::InterleaveLower(Pairs(), first, second)), words, to);
    hn::Store(hn::BitCast(words, hn::InterleaveUpper(Pairs(), first, second)), words,
              to + hn::Lanes(words));
  }

  RandomStream stream_;
  HWY_ALIGN std::uint64_t order_[kMaxLanes / 2];
};

#endif

}  // namespace clausius::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CLAUSIUS_CORE_SIMD_PHILOX_INL_H_
