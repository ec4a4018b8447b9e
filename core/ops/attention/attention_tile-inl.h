// SPDX-License-Identifier: Apache-2.0
// One tile of scores of the CPU attention kernels: bounds, row scales, soft-cap, dropout. Compiled
// once a target.
#if defined(CLAUSIUS_ATTENTION_TILE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef CLAUSIUS_ATTENTION_TILE_INL_H
#undef CLAUSIUS_ATTENTION_TILE_INL_H
#else
#define CLAUSIUS_ATTENTION_TILE_INL_H
#endif

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include "core/ops/attention/attention_cpu.h"
#include "core/ops/attention/attention_dropout.h"
#include "core/ops/attention/attention_lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::ops::detail {
namespace HWY_NAMESPACE {

struct ScoreTile {
  alignas(64) float scale[kTileRows];         // log2 units
  alignas(64) std::int32_t begin[kTileRows];  // bounds of the rows; rows past the last repeat it
  alignas(64) std::int32_t end[kTileRows];
  float* scores = nullptr;  // [key][row]
  float* keep = nullptr;    // [key][row]: 0 where dropped, else 1 / (1 - dropout)
  TilePlan plan;
  std::int64_t first_key = 0;
  float softcap = 0;  // log2 units; 0: none

  void load(const HeadParameters& parameters,
            const AttentionProblem& p,
            std::int64_t b,
            std::int64_t h,
            std::int64_t i,
            std::int64_t count) {
    softcap = static_cast<float>(p.softcap) * kLog2E;
    for (std::int64_t r = 0; r < kTileRows; ++r) {
      const std::int64_t row = i + HWY_MIN(r, count - 1);
      scale[r] = static_cast<float>(p.scale * parameters.scale_of(h, row)) * kLog2E;
      begin[r] = p.begin_BT[b * p.T + row];
      end[r] = p.end_BT[b * p.T + row];
    }
  }
};

// Bounds of one vector of rows.
struct LaneBounds {
  LaneBounds(const ScoreTile& tile, std::int64_t r)
      : begin(hn::Load(I(), tile.begin + r)), end(hn::Load(I(), tile.end + r)) {
    last_begin = tile.begin[r + static_cast<std::int64_t>(hn::Lanes(F())) - 1];
    first_end = tile.end[r];
  }
  // True when every row sees all 16 keys from `key`.
  [[nodiscard]] bool all_visible(std::int64_t key) const {
    return last_begin <= key && key + kStep <= first_end;
  }
  HWY_INLINE hn::Mask<F> visible(std::int64_t key) const {
    const VI j = hn::Set(I(), static_cast<std::int32_t>(key));
    return hn::RebindMask(F(), hn::AndNot(hn::Lt(j, begin), hn::Lt(j, end)));
  }
  VI begin;
  VI end;
  std::int32_t last_begin;
  std::int32_t first_end;
};

// fn(masked, scores of the first of 16 keys, that key) for each visited step of rows r, r + 1, ..
template <class Fn>
HWY_INLINE void for_each_step(const ScoreTile& tile,
                              const LaneBounds& bounds,
                              std::int64_t r,
                              const Fn& fn) {
  for (std::int64_t step = 0; step < kStepsPerTile; ++step) {
    if (!tile.plan.visits(step, r)) {
      continue;
    }
    const std::int64_t key = tile.first_key + step * kStep;
    float* scores = tile.scores + step * kStep * kTileRows + r;
    if (bounds.all_visible(key)) {
      fn(std::false_type(), scores, key);
    } else {
      fn(std::true_type(), scores, key);
    }
  }
}

// Largest visible score of 16 keys.
template <bool kMasked>
HWY_INLINE VF max_step(const float* s, VF scale, const LaneBounds& bounds, std::int64_t key) {
  const F f;
  VF top[2] = {hn::Set(f, kNothing), hn::Set(f, kNothing)};
  for (std::int64_t j = 0; j < kStep; ++j) {
    VF score = hn::Mul(hn::Load(f, s + j * kTileRows), scale);
    if constexpr (kMasked) {
      score = hn::IfThenElse(bounds.visible(key + j), score, hn::Set(f, kNothing));
    }
    top[j % 2] = hn::Max(top[j % 2], score);
  }
  return hn::Max(top[0], top[1]);
}

// Replaces 16 keys' products by capped scores; the largest visible score before the cap.
template <bool kMasked>
HWY_INLINE VF
softcap_step(float* s, VF scale, float cap, const LaneBounds& bounds, std::int64_t key) {
  const F f;
  const VF top = max_step<kMasked>(s, scale, bounds, key);
  const VF ratio = hn::Mul(scale, hn::Set(f, 1.0F / cap));
  for (std::int64_t j = 0; j < kStep; ++j) {
    float* score = s + j * kTileRows;
    hn::Store(hn::Mul(hn::Set(f, cap), hn::CallTanh(f, hn::Mul(ratio, hn::Load(f, score)))), f,
              score);
  }
  return top;
}

// Products of a tile by steps: C[key][row] = sum A[.][row] B[key][.] on the visited rows. `width`:
// row length of B.
template <class T>
HWY_INLINE void tile_product_rows(const TilePlan& plan,
                                  const ByRows<T>& products,
                                  const T* a,
                                  const T* b,
                                  std::int64_t width,
                                  float* c) {
  constexpr std::int64_t kPair = std::is_same_v<T, float> ? 1 : 2;
  for (std::int64_t step = 0; step < kStepsPerTile; ++step) {
    const std::int64_t first = plan.row_begin[static_cast<std::size_t>(step)];
    const std::int64_t last = plan.row_end[static_cast<std::size_t>(step)];
    if (first < last) {
      multiply(products[static_cast<std::size_t>((last - first) / kStep - 1)], a + first * kPair,
               b + step * kStep * width, c + step * kStep * kTileRows + first);
    }
  }
}

// ---- dropout ----

// Both halves of 32-bit products.
HWY_INLINE void multiply_wide(VU a, VU b, VU& high, VU& low) {
  const U u;
#if HWY_TARGET == HWY_SCALAR
  const std::uint64_t product = std::uint64_t{hn::GetLane(a)} * hn::GetLane(b);
  high = hn::Set(u, static_cast<std::uint32_t>(product >> 32));
  low = hn::Set(u, static_cast<std::uint32_t>(product));
#else
  const hn::RepartitionToWide<U> w;
  const auto even = hn::MulEven(a, b);
  const auto odd = hn::MulEven(hn::BitCast(u, hn::ShiftRight<32>(hn::BitCast(w, a))), b);
  high = hn::OddEven(hn::BitCast(u, odd), hn::BitCast(u, hn::ShiftRight<32>(even)));
  low = hn::OddEven(hn::BitCast(u, hn::ShiftLeft<32>(odd)), hn::BitCast(u, even));
#endif
}

// Philox 4x32-10 of one counter a lane: the words of RandomStream::block.
HWY_INLINE void philox_lanes(VU word[4], std::uint64_t key) {
  const U u;
  const VU multiplier0 = hn::Set(u, 0xD2511F53U);
  const VU multiplier1 = hn::Set(u, 0xCD9E8D57U);
  auto key0 = static_cast<std::uint32_t>(key);
  auto key1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    VU high0, low0, high1, low1;
    multiply_wide(word[0], multiplier0, high0, low0);
    multiply_wide(word[2], multiplier1, high1, low1);
    word[0] = hn::Xor(hn::Xor(high1, word[1]), hn::Set(u, key0));
    word[1] = low1;
    word[2] = hn::Xor(hn::Xor(high0, word[3]), hn::Set(u, key1));
    word[3] = low0;
    key0 += 0x9E3779B9U;
    key1 += 0xBB67AE85U;
  }
}

// Fills tile.keep for `rows` rows from i on.
HWY_INLINE void draw_keep(ScoreTile& tile,
                          const AttentionProblem& p,
                          std::int64_t b,
                          std::int64_t h,
                          std::int64_t i,
                          std::int64_t rows) {
  const F f;
  const U u;
  const RandomStream stream = dropout_stream(p, b);
  const VU threshold = hn::Set(u, dropout_threshold(p.dropout));
  const VF kept = hn::Set(f, static_cast<float>(1 / (1 - p.dropout)));
  const VU row_step =
      hn::Mul(hn::Iota(u, 0), hn::Set(u, static_cast<std::uint32_t>(dropout_blocks_per_row(p.S))));
  for (std::int64_t j = 0; j < kTileKeys; j += 4) {
    for (std::int64_t r = 0; r < rows; r += static_cast<std::int64_t>(hn::Lanes(f))) {
      if (!tile.plan.visits(j / kStep, r)) {
        continue;
      }
      const VU block =
          hn::Add(row_step, hn::Set(u, dropout_block(p, h, i + r, tile.first_key + j)));
      VU word[4] = {block, hn::Set(u, stream.sample), hn::Set(u, stream.step),
                    hn::Set(u, stream.stream)};
      philox_lanes(word, stream.seed);
      for (std::int64_t n = 0; n < 4; ++n) {
        const auto dropped = hn::RebindMask(f, hn::Lt(word[n], threshold));
        hn::Store(hn::IfThenZeroElse(dropped, kept), f, tile.keep + (j + n) * kTileRows + r);
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace clausius::ops::detail
HWY_AFTER_NAMESPACE();
#endif
