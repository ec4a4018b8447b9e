// SPDX-License-Identifier: Apache-2.0
// The CPU forward kernel of attention, tile by tile with running max, sum and weighted sum.
// Compiled once a target.
#if defined(CLAUSIUS_ATTENTION_FORWARD_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef CLAUSIUS_ATTENTION_FORWARD_INL_H
#undef CLAUSIUS_ATTENTION_FORWARD_INL_H
#else
#define CLAUSIUS_ATTENTION_FORWARD_INL_H
#endif

#include <hwy/highway.h>

#include "core/ops/attention/attention_cpu.h"
#include "core/ops/attention/attention_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::ops::detail {
namespace HWY_NAMESPACE {

// Running statistics of the rows of a tile; log2 units.
struct RunningRows {
  alignas(64) float max[kTileRows];       // reference of the exponentials
  alignas(64) float sum[kTileRows];       // sum of p = 2^(s - max)
  alignas(64) float weighted[kTileRows];  // sum of p (s - max)
  alignas(64) float largest[kTileRows];   // largest visible raw score

  void start(float sink) {
    for (std::int64_t r = 0; r < kTileRows; ++r) {
      max[r] = sink;
      sum[r] = sink == kNothing ? 0.0F : 1.0F;
      weighted[r] = 0.0F;
      largest[r] = kNothing;
    }
  }
};

// Runs units: runs of query blocks of the heads of one (b, g). T: element type of the products.
template <class In, class T>
class ForwardUnit {
 public:
  explicit ForwardUnit(const ForwardArguments<In>& arguments)
      : a_(arguments),
        p_(*arguments.problem),
        D_(round_up(p_.D, kStep)),
        E_(round_up(p_.E, kStep)) {
    for (std::int64_t rows = kStep; rows <= kTileRows; rows += kStep) {
      const auto n = static_cast<std::size_t>(rows / kStep - 1);
      const bool jit = a_.choice.jit;
      scores_[n] = TileProduct<T>::make(rows, kStep, D_, kTileRows, D_, kTileRows, false, jit);
      step_values_[n] =
          TileProduct<T>::make(rows, E_, kStep, kTileRows, kTileKeys, kTileRows, true, jit);
      tile_values_[n] =
          TileProduct<T>::make(rows, E_, kTileKeys, kTileRows, kTileKeys, kTileRows, true, jit);
    }
    take_scratch();
  }

  void run(std::int64_t unit) {
    const std::int64_t b = unit / a_.units / p_.G;
    const std::int64_t g = unit / a_.units % p_.G;
    // Later blocks of a causal mask see more keys: the long units first.
    const std::int64_t first_block = (a_.units - 1 - unit % a_.units) * a_.blocks_per_unit;
    const std::int64_t last_block =
        HWY_MIN(first_block + a_.blocks_per_unit, div_ceil(p_.T, kTileRows));
    const std::int64_t last_row = HWY_MIN(last_block * kTileRows, p_.T);
    first_tile_ = p_.begin_BT[b * p_.T + first_block * kTileRows] / kTileKeys;
    packed_ = first_tile_;
    keys_ = p_.end_BT[b * p_.T + last_row - 1];
    for (std::int64_t h = g * p_.heads_per_group(); h < (g + 1) * p_.heads_per_group(); ++h) {
      for (std::int64_t block = first_block; block < last_block; ++block) {
        query_block(b, h, block);
      }
    }
  }

 private:
  static constexpr bool kBf16 = !std::is_same_v<T, float>;

  void take_scratch() {
    const std::int64_t keys = round_up(p_.S, kTileKeys);
    const std::int64_t widest = HWY_MAX(D_, E_);
    const std::int64_t tile = kTileKeys * kTileRows;
    scratch_.take(k_, keys * D_);
    scratch_.take(v_transposed_, keys * E_);
    scratch_.take(q_transposed_, kTileRows * D_);
    scratch_.take(rows_, kTileRows * widest);
    scratch_.take(more_rows_, kTileRows * widest);
    scratch_.take(y_transposed_, E_ * kTileRows);
    scratch_.take(unpacked_, E_ * kStep);
    scratch_.take(tile_.scores, tile);
    if (p_.dropout > 0) {
      scratch_.take(tile_.keep, tile);
    }
    if constexpr (kBf16) {
      scratch_.take(probabilities_, tile);
    }
    scratch_.allocate();
    if constexpr (!kBf16) {
      probabilities_ = tile_.scores;
    }
  }

  // Packs tiles up to `end` when they are first needed, so that the next one can be on its way to the cache meanwhile. Keys past
  // the last visible one may be memory nobody wrote: they are packed as zeros.
  void pack_keys(std::int64_t b, std::int64_t g, std::int64_t end) {
    for (; packed_ < end; ++packed_) {
      const std::int64_t key = packed_ * kTileKeys;
      const std::int64_t count = HWY_MIN(kTileKeys, keys_ - key);
      const std::int64_t tile = packed_ - first_tile_;
      pack_rows(a_.k.at(b, g, key), a_.k.row, count, p_.D, k_ + tile * kTileKeys * D_, kTileKeys,
                D_);
      pack_rows(a_.v.at(b, g, key), a_.v.row, count, p_.E, rows_, kTileKeys, E_);
      transposed_b(rows_, E_, v_transposed_ + tile * kTileKeys * E_, more_rows_);
    }
    const std::int64_t next = packed_ * kTileKeys;
    prefetch_rows(a_.k.at(b, g, next), a_.k.row, HWY_MIN(kTileKeys, keys_ - next), p_.D);
    prefetch_rows(a_.v.at(b, g, next), a_.v.row, HWY_MIN(kTileKeys, keys_ - next), p_.E);
  }

  void query_block(std::int64_t b, std::int64_t h, std::int64_t block) {
    const std::int64_t i = block * kTileRows;
    const std::int64_t count = HWY_MIN(kTileRows, p_.T - i);
    const std::int64_t rows = round_up(count, kStep);
    tile_.load(a_.parameters, p_, b, h, i, count);
    running_.start(a_.parameters.sink == nullptr ? kNothing : a_.parameters.sink[h] * kLog2E);
    pack_rows(a_.q.at(b, h, i), a_.q.row, count, p_.D, rows_, rows, D_);
    transposed_a(rows_, rows, D_, q_transposed_);
    prefetch_rows(a_.q.at(b, h, i + count), a_.q.row, HWY_MIN(kTileRows, p_.T - i - count), p_.D);
    prefetch_rows(a_.y.at(b, h, i), a_.y.row, count, p_.E);
    std::memset(y_transposed_, 0, static_cast<std::size_t>(E_ * kTileRows) * sizeof(float));
    const std::int64_t end = div_ceil<std::int64_t>(tile_.end[rows - 1], kTileKeys);
    pack_keys(b, h / p_.heads_per_group(), end);
    for (std::int64_t tile = tile_.begin[0] / kTileKeys; tile < end; ++tile) {
      tile_.plan = plan_tile(tile_.begin, tile_.end, rows, tile * kTileKeys);
      tile_.first_key = tile * kTileKeys;
      const std::int64_t at = (tile - first_tile_) * kTileKeys;
      key_tile(b, h, i, rows, k_ + at * D_, v_transposed_ + at * E_);
    }
    finish(b, h, block, count, rows);
  }

  void key_tile(std::int64_t b,
                std::int64_t h,
                std::int64_t i,
                std::int64_t rows,
                const T* k,
                const T* v_transposed) {
    tile_product_rows(tile_.plan, scores_, q_transposed_, k, D_, tile_.scores);
    if (p_.dropout > 0) {
      draw_keep(tile_, p_, b, h, i, rows);
      a_.choice.entropy ? softmax<true, true>(rows) : softmax<false, true>(rows);
    } else {
      a_.choice.entropy ? softmax<true, false>(rows) : softmax<false, false>(rows);
    }
    constexpr std::int64_t kPair = kBf16 ? 2 : 1;  // elements of A in one lane
    if (tile_.plan.full) {
      return multiply(tile_values_[static_cast<std::size_t>(rows / kStep - 1)], probabilities_,
                      v_transposed, y_transposed_);
    }
    for (std::int64_t step = 0; step < kStepsPerTile; ++step) {
      const std::int64_t first = tile_.plan.row_begin[static_cast<std::size_t>(step)];
      const std::int64_t last = tile_.plan.row_end[static_cast<std::size_t>(step)];
      if (first < last) {
        multiply(step_values_[static_cast<std::size_t>((last - first) / kStep - 1)],
                 probabilities_ + step * kStep * kTileRows + first * kPair,
                 v_transposed + step * kStep, y_transposed_ + first);
      }
    }
  }

  template <bool kEntropy, bool kDropout>
  HWY_NOINLINE void softmax(std::int64_t rows) {
    for (std::int64_t r = 0; r < rows; r += static_cast<std::int64_t>(hn::Lanes(F()))) {
      softmax_lanes<kEntropy, kDropout>(r);
    }
  }

  // Scores of the rows r, r + 1, .. (one vector) to probabilities; their statistics move on.
  template <bool kEntropy, bool kDropout>
  HWY_INLINE void softmax_lanes(std::int64_t r) {
    const F f;
    const LaneBounds bounds(tile_, r);
    VF scale = hn::Load(f, tile_.scale + r);
    VF top = hn::Set(f, kNothing);
    if (tile_.softcap > 0) {
      for_each_step(tile_, bounds, r, [&](auto masked, float* s, std::int64_t key) HWY_ATTR {
        top = hn::Max(top, softcap_step<masked.value>(s, scale, tile_.softcap, bounds, key));
      });
      hn::Store(hn::Max(hn::Load(f, running_.largest + r), top), f, running_.largest + r);
      scale = hn::Set(f, 1.0F);
      top = hn::Set(f, kNothing);
    }
    for_each_step(tile_, bounds, r, [&](auto masked, float* s, std::int64_t key) HWY_ATTR {
      top = hn::Max(top, max_step<masked.value>(s, scale, bounds, key));
    });
    if (tile_.softcap <= 0) {
      hn::Store(hn::Max(hn::Load(f, running_.largest + r), top), f, running_.largest + r);
    }
    const VF before = hn::Load(f, running_.max + r);
    const VF max = hn::Max(before, top);
    VF sum = hn::Load(f, running_.sum + r);
    VF weighted = hn::Load(f, running_.weighted + r);
    if (!hn::AllFalse(f, hn::Gt(max, before))) {
      const VF rise = hn::Sub(max, before);
      const VF factor = exp2_of(hn::Neg(rise));
      weighted = hn::Mul(factor, hn::NegMulAdd(rise, sum, weighted));
      sum = hn::Mul(factor, sum);
      for (std::int64_t e = 0; e < E_; ++e) {
        float* y = y_transposed_ + e * kTileRows + r;
        hn::Store(hn::Mul(factor, hn::Load(f, y)), f, y);
      }
      hn::Store(max, f, running_.max + r);
    }
    VF tile_sum = hn::Zero(f);
    VF tile_weighted = hn::Zero(f);
    for_each_step(tile_, bounds, r, [&](auto masked, float* s, std::int64_t key) HWY_ATTR {
      const std::int64_t offset = (key - tile_.first_key) * kTileRows;
      exp_step<kEntropy, kDropout, masked.value>(s, offset, r, key, scale, max, bounds, tile_sum,
                                                 tile_weighted);
    });
    hn::Store(hn::Add(sum, tile_sum), f, running_.sum + r);
    hn::Store(hn::Add(weighted, tile_weighted), f, running_.weighted + r);
  }

  template <bool kEntropy, bool kDropout, bool kMasked>
  HWY_INLINE void exp_step(float* s,
                           std::int64_t offset,
                           std::int64_t r,
                           std::int64_t key,
                           VF scale,
                           VF max,
                           const LaneBounds& bounds,
                           VF& tile_sum,
                           VF& tile_weighted) {
    const F f;
    VF sum[2] = {tile_sum, hn::Zero(f)};
    VF weighted[2] = {tile_weighted, hn::Zero(f)};
    for (std::int64_t j = 0; j < kStep; j += 2) {
      VF p[2];
      for (int n = 0; n < 2; ++n) {
        VF t = hn::MulSub(hn::Load(f, s + (j + n) * kTileRows), scale, max);
        p[n] = exp2_of(t);
        if constexpr (kMasked) {
          const auto visible = bounds.visible(key + j + n);
          t = hn::IfThenElseZero(visible, t);
          p[n] = hn::IfThenElseZero(visible, p[n]);
        }
        sum[n] = hn::Add(sum[n], p[n]);
        if constexpr (kEntropy) {
          weighted[n] = hn::MulAdd(p[n], t, weighted[n]);
        }
        if constexpr (kDropout) {
          p[n] = hn::Mul(p[n], hn::Load(f, tile_.keep + offset + (j + n) * kTileRows + r));
        }
      }
      if constexpr (std::is_same_v<T, float>) {
        hn::Store(p[0], f, s + j * kTileRows);
        hn::Store(p[1], f, s + (j + 1) * kTileRows);
      } else {
        store_pair(bf16_bits(p[0]), bf16_bits(p[1]),
                   probabilities_ + offset + j * kTileRows + 2 * r);
      }
    }
    tile_sum = hn::Add(sum[0], sum[1]);
    tile_weighted = hn::Add(weighted[0], weighted[1]);
  }

  void finish(
      std::int64_t b, std::int64_t h, std::int64_t block, std::int64_t count, std::int64_t rows) {
    const F f;
    alignas(64) float entropy[kTileRows];
    alignas(64) float lse[kTileRows];
    alignas(64) float inverse[kTileRows];
    const VF zero = hn::Zero(f);
    const VF one = hn::Set(f, 1.0F);
    const VF sink = a_.parameters.sink == nullptr ? zero : one;
    for (std::int64_t r = 0; r < rows; r += static_cast<std::int64_t>(hn::Lanes(f))) {
      const LaneBounds bounds(tile_, r);
      const VF sum = hn::Load(f, running_.sum + r);
      const auto seen = hn::Not(hn::Eq(sum, zero));  // also where it is NaN
      const VF safe = hn::IfThenElse(seen, sum, one);
      const VF log_sum = hn::IfThenElse(hn::IsNaN(sum), sum, hn::Log(f, safe));  // Log loses NaN
      const VF choices = hn::Add(hn::ConvertTo(f, hn::Sub(bounds.end, bounds.begin)), sink);
      const VF most = hn::Log(f, hn::Max(choices, one));
      const VF mean = hn::Mul(hn::Set(f, kLn2), hn::Div(hn::Load(f, running_.weighted + r), safe));
      hn::Store(hn::Min(most, hn::Max(zero, hn::Sub(log_sum, mean))), f, entropy + r);
      const VF nothing = hn::Set(f, -std::numeric_limits<float>::infinity());
      const VF max = hn::Mul(hn::Set(f, kLn2), hn::Load(f, running_.max + r));
      hn::Store(hn::IfThenElse(seen, hn::Add(max, log_sum), nothing), f, lse + r);
      hn::Store(hn::IfThenElseZero(seen, hn::Div(one, safe)), f, inverse + r);
    }
    const std::int64_t i = block * kTileRows;
    const std::int64_t row = (b * p_.H + h) * p_.T + i;
    float largest = kNothing;
    for (std::int64_t r = 0; r < count; ++r) {
      a_.entropy[row + r] = entropy[r];
      a_.lse[row + r] = lse[r];
      largest = running_.largest[r] > largest ? running_.largest[r] : largest;
    }
    a_.block_max[(b * p_.H + h) * div_ceil(p_.T, kTileRows) + block] =
        largest == kNothing ? -std::numeric_limits<float>::infinity() : largest * kLn2;
    unpack_transposed(y_transposed_, inverse, count, p_.E, unpacked_, a_.y.at(b, h, i), a_.y.row);
  }

  const ForwardArguments<In>& a_;
  const AttentionProblem& p_;
  std::int64_t D_, E_;  // padded
  // Key tiles [first_tile_, packed_) are in the scratch memory; keys_ ends the last visible key.
  std::int64_t first_tile_ = 0, packed_ = 0, keys_ = 0;
  ByRows<T> scores_, step_values_, tile_values_;
  T *k_ = nullptr, *v_transposed_ = nullptr, *q_transposed_ = nullptr, *rows_ = nullptr,
    *more_rows_ = nullptr;
  T* probabilities_ = nullptr;
  float *y_transposed_ = nullptr, *unpacked_ = nullptr;
  ScoreTile tile_;
  RunningRows running_;
  Scratch scratch_;
};

}  // namespace HWY_NAMESPACE
}  // namespace clausius::ops::detail
HWY_AFTER_NAMESPACE();
#endif
