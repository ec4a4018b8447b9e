// SPDX-License-Identifier: Apache-2.0
// The CPU backward kernel of attention: probabilities come back from lse, tile by tile. Compiled once a target.
#if defined(CLAUSIUS_ATTENTION_BACKWARD_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef CLAUSIUS_ATTENTION_BACKWARD_INL_H
#undef CLAUSIUS_ATTENTION_BACKWARD_INL_H
#else
#define CLAUSIUS_ATTENTION_BACKWARD_INL_H
#endif

#include <hwy/highway.h>

#include "core/ops/attention/attention_cpu.h"
#include "core/ops/attention/attention_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::ops::detail {
namespace HWY_NAMESPACE {

// What the gradient of a score needs to know of its row: ds = p (dp - offset - dentropy log2 p).
struct GradientRows {
  alignas(64) float log_sum[kTileRows];   // lse, log2 units; huge where the row has no keys
  alignas(64) float offset[kTileRows];    // <dy, y> - dlse + dentropy H
  alignas(64) float dentropy[kTileRows];  // times ln 2: per unit of log2 p
  alignas(64) float scale[kTileRows];     // natural units, for dq and dk
};

// dk and dv of (b, g) from the sums of its units, added in order into the first.
template <class In>
void store_key_gradients(const BackwardArguments<In>& a,
                         std::int64_t b,
                         std::int64_t g,
                         float* sums) {
  const AttentionProblem& p = *a.problem;
  const F f;
  for (std::int64_t split = 1; split < a.splits; ++split) {
    const float* more = sums + split * key_sums_size(p);
    for (std::int64_t n = 0; n < key_sums_size(p); n += static_cast<std::int64_t>(hn::Lanes(f))) {
      hn::Store(hn::Add(hn::Load(f, sums + n), hn::Load(f, more + n)), f, sums + n);
    }
  }
  for (std::int64_t j = 0; j < p.S; ++j) {
    store_scaled(sums + j * round_up(p.D, kStep), 1.0F, p.D, a.dk.at(b, g, j));
    store_scaled(sums + dk_size(p) + j * round_up(p.E, kStep), 1.0F, p.E, a.dv.at(b, g, j));
  }
}

// Runs units: every `splits`-th query block of the heads of one (b, g). T: element type of the products.
template <class In, class T>
class BackwardUnit {
 public:
  explicit BackwardUnit(const BackwardArguments<In>& arguments)
      : a_(arguments),
        p_(*arguments.problem),
        D_(round_up(p_.D, kStep)),
        E_(round_up(p_.E, kStep)) {
    for (std::int64_t rows = kStep; rows <= kTileRows; rows += kStep) {
      const auto n = static_cast<std::size_t>(rows / kStep - 1);
      const bool jit = a_.choice.jit;
      scores_[n] = TileProduct<T>::make(rows, kStep, D_, kTileRows, D_, kTileRows, false, jit);
      dprobabilities_[n] =
          TileProduct<T>::make(rows, kStep, E_, kTileRows, E_, kTileRows, false, jit);
      dvalues_[n] = TileProduct<T>::make(E_, kStep, rows, E_, kTileRows, E_, true, jit);
      dkeys_[n] = TileProduct<T>::make(D_, kStep, rows, D_, kTileRows, D_, true, jit);
      step_dqueries_[n] =
          TileProduct<T>::make(rows, D_, kStep, kTileRows, kTileKeys, kTileRows, true, jit);
      tile_dqueries_[n] =
          TileProduct<T>::make(rows, D_, kTileKeys, kTileRows, kTileKeys, kTileRows, true, jit);
    }
    take_scratch();
  }

  void run(std::int64_t unit) {
    const std::int64_t b = unit / a_.splits / p_.G;
    const std::int64_t g = unit / a_.splits % p_.G;
    keys_ = p_.end_BT[b * p_.T + p_.T - 1];
    packed_ = 0;
    dk_ = a_.splits == 1 ? own_sums_ : a_.sums + unit * key_sums_size(p_);
    dv_ = dk_ + dk_size(p_);
    std::memset(dk_, 0, static_cast<std::size_t>(key_sums_size(p_)) * sizeof(float));
    for (std::int64_t h = g * p_.heads_per_group(); h < (g + 1) * p_.heads_per_group(); ++h) {
      for (std::int64_t block = unit % a_.splits; block < div_ceil(p_.T, kTileRows);
           block += a_.splits) {
        query_block(b, g, h, block * kTileRows);
      }
    }
    if (a_.splits == 1) {
      store_key_gradients(a_, b, g, dk_);
    }
  }

 private:
  static constexpr bool kBf16 = !std::is_same_v<T, float>;
  static constexpr std::int64_t kPair = kBf16 ? 2 : 1;  // elements of a row-major A in one lane

  void take_scratch() {
    const std::int64_t keys = round_up(p_.S, kTileKeys);
    const std::int64_t widest = HWY_MAX(D_, E_);
    const std::int64_t tile = kTileKeys * kTileRows;
    scratch_.take(k_, keys * D_);
    scratch_.take(k_transposed_, keys * D_);
    scratch_.take(v_, keys * E_);
    scratch_.take(q_rows_, kTileRows * D_);
    scratch_.take(q_transposed_, kTileRows * D_);
    scratch_.take(dy_rows_, kTileRows * E_);
    scratch_.take(dy_transposed_, kTileRows * E_);
    scratch_.take(rows_, kTileRows * widest);
    scratch_.take(more_rows_, kTileRows * widest);
    scratch_.take(dq_transposed_, kTileRows * D_);
    scratch_.take(unpacked_, D_ * kStep);
    scratch_.take(tile_.scores, tile);
    scratch_.take(dscores_, tile);
    if (p_.dropout > 0) {
      scratch_.take(tile_.keep, tile);
    }
    if (a_.splits == 1) {
      scratch_.take(own_sums_, key_sums_size(p_));
    }
    if constexpr (kBf16) {
      scratch_.take(probabilities_, tile);
      scratch_.take(dscore_rows_, tile);
      scratch_.take(dscore_pairs_, tile);
    }
    scratch_.allocate();
    if constexpr (!kBf16) {
      probabilities_ = tile_.scores;
      dscore_rows_ = dscore_pairs_ = dscores_;
    }
  }

  void pack_keys(std::int64_t b, std::int64_t g, std::int64_t end) {
    for (; packed_ < end; ++packed_) {
      const std::int64_t key = packed_ * kTileKeys;
      const std::int64_t count = HWY_MIN(kTileKeys, keys_ - key);
      pack_rows(a_.k.at(b, g, key), a_.k.row, count, p_.D, k_ + key * D_, kTileKeys, D_);
      transposed_b(k_ + key * D_, D_, k_transposed_ + key * D_, more_rows_);
      pack_rows(a_.v.at(b, g, key), a_.v.row, count, p_.E, v_ + key * E_, kTileKeys, E_);
    }
    const std::int64_t next = packed_ * kTileKeys;
    prefetch_rows(a_.k.at(b, g, next), a_.k.row, HWY_MIN(kTileKeys, keys_ - next), p_.D);
    prefetch_rows(a_.v.at(b, g, next), a_.v.row, HWY_MIN(kTileKeys, keys_ - next), p_.E);
  }

  void query_block(std::int64_t b, std::int64_t g, std::int64_t h, std::int64_t i) {
    const std::int64_t count = HWY_MIN(kTileRows, p_.T - i);
    const std::int64_t rows = round_up(count, kStep);
    tile_.load(a_.parameters, p_, b, h, i, count);
    load_rows(b, h, i, count);
    pack_queries(b, h, i, count, rows);
    std::memset(dq_transposed_, 0, static_cast<std::size_t>(kTileRows * D_) * sizeof(float));
    const std::int64_t end = div_ceil<std::int64_t>(tile_.end[rows - 1], kTileKeys);
    pack_keys(b, g, end);
    for (std::int64_t tile = tile_.begin[0] / kTileKeys; tile < end; ++tile) {
      tile_.plan = plan_tile(tile_.begin, tile_.end, rows, tile * kTileKeys);
      tile_.first_key = tile * kTileKeys;
      key_tile(b, h, i, rows);
    }
    finish(b, h, i, count, rows);
  }

  // Row constants, and the gradient of the sink, which is one more key with value 0.
  void load_rows(std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t count) {
    for (std::int64_t r = 0; r < kTileRows; ++r) {
      const std::int64_t row = (b * p_.H + h) * p_.T + i + r;
      // NaN counts as seen, and goes on.
      const bool seen =
          r < count && a_.lse.at(b, h, i + r) != -std::numeric_limits<float>::infinity();
      if (!seen) {
        rows_of_.log_sum[r] = -kNothing;
        rows_of_.offset[r] = rows_of_.dentropy[r] = rows_of_.scale[r] = 0.0F;
        if (r < count && a_.row_dsink != nullptr) {
          a_.row_dsink[row] = 0.0F;
        }
        continue;
      }
      const float dentropy = a_.dentropy.at(b, h, i + r);
      const float dlse = a_.dlse.at(b, h, i + r);
      rows_of_.log_sum[r] = a_.lse.at(b, h, i + r) * kLog2E;
      rows_of_.dentropy[r] = dentropy * kLn2;
      rows_of_.offset[r] = dot(a_.dy.at(b, h, i + r), a_.y.at(b, h, i + r), p_.E) - dlse +
                           dentropy * a_.entropy.at(b, h, i + r);
      rows_of_.scale[r] = static_cast<float>(p_.scale * a_.parameters.scale_of(h, i + r));
      if (a_.row_dsink != nullptr) {
        const float log_p = a_.parameters.sink[h] - a_.lse.at(b, h, i + r);
        a_.row_dsink[row] = -std::exp(log_p) * (rows_of_.offset[r] + dentropy * log_p);
      }
    }
  }

  // dk = sum ds scale q: f32 puts the scale into q, bf16 into ds before it is rounded.
  void pack_queries(
      std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t count, std::int64_t rows) {
    T* dy = kBf16 ? rows_ : dy_rows_;
    pack_rows(a_.dy.at(b, h, i), a_.dy.row, count, p_.E, dy, rows, E_);
    transposed_a(dy, rows, E_, dy_transposed_);
    if constexpr (kBf16) {
      interleave_rows(rows_, rows, E_, reinterpret_cast<std::uint32_t*>(dy_rows_));
    }
    T* q = kBf16 ? rows_ : q_rows_;
    pack_rows(a_.q.at(b, h, i), a_.q.row, count, p_.D, q, rows, D_);
    transposed_a(q, rows, D_, q_transposed_);
    if constexpr (kBf16) {
      interleave_rows(rows_, rows, D_, reinterpret_cast<std::uint32_t*>(q_rows_));
    } else {
      for (std::int64_t r = 0; r < rows; ++r) {
        store_scaled(q_rows_ + r * D_, rows_of_.scale[r], D_, q_rows_ + r * D_);
      }
    }
  }

  void key_tile(std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t rows) {
    const std::int64_t key = tile_.first_key;
    tile_product_rows(tile_.plan, scores_, q_transposed_, k_ + key * D_, D_, tile_.scores);
    tile_product_rows(tile_.plan, dprobabilities_, dy_transposed_, v_ + key * E_, E_, dscores_);
    if (p_.dropout > 0) {
      draw_keep(tile_, p_, b, h, i, rows);
      choose_dscores<true>(rows);
    } else {
      choose_dscores<false>(rows);
    }
    for (std::int64_t step = 0; step < kStepsPerTile; ++step) {
      const std::int64_t first = tile_.plan.row_begin[static_cast<std::size_t>(step)];
      const std::int64_t last = tile_.plan.row_end[static_cast<std::size_t>(step)];
      if (first == last) {
        continue;
      }
      const auto n = static_cast<std::size_t>((last - first) / kStep - 1);
      const std::int64_t at = step * kStep * kTileRows;
      multiply(dvalues_[n], dy_rows_ + first * E_, probabilities_ + at + first,
               dv_ + (key + step * kStep) * E_);
      multiply(dkeys_[n], q_rows_ + first * D_, dscore_rows_ + at + first,
               dk_ + (key + step * kStep) * D_);
      if (!tile_.plan.full) {
        multiply(step_dqueries_[n], dscore_pairs_ + at + first * kPair,
                 k_transposed_ + key * D_ + step * kStep, dq_transposed_ + first);
      }
    }
    if (tile_.plan.full) {
      multiply(tile_dqueries_[static_cast<std::size_t>(rows / kStep - 1)], dscore_pairs_,
               k_transposed_ + key * D_, dq_transposed_);
    }
  }

  template <bool kDropout>
  void choose_dscores(std::int64_t rows) {
    const bool entropy = a_.dentropy.data != nullptr;
    if (tile_.softcap > 0) {
      entropy ? dscores<kDropout, true, true>(rows) : dscores<kDropout, true, false>(rows);
    } else {
      entropy ? dscores<kDropout, false, true>(rows) : dscores<kDropout, false, false>(rows);
    }
  }

  template <bool kDropout, bool kCapped, bool kEntropy>
  HWY_NOINLINE void dscores(std::int64_t rows) {
    for (std::int64_t r = 0; r < rows; r += static_cast<std::int64_t>(hn::Lanes(F()))) {
      const LaneBounds bounds(tile_, r);
      for_each_step(tile_, bounds, r, [&](auto masked, float* s, std::int64_t key) HWY_ATTR {
        dscore_step<kDropout, kCapped, kEntropy, masked.value>(s, r, key, bounds);
      });
    }
  }

  // 16 keys: products to probabilities, gradients of probabilities to gradients of products.
  template <bool kDropout, bool kCapped, bool kEntropy, bool kMasked>
  HWY_INLINE void dscore_step(float* s,
                              std::int64_t r,
                              std::int64_t key,
                              const LaneBounds& bounds) {
    const F f;
    VF scale = hn::Load(f, tile_.scale + r);
    if constexpr (kCapped) {
      softcap_step<kMasked>(s, scale, tile_.softcap, bounds, key);
      scale = hn::Set(f, 1.0F);
    }
    const VF log_sum = hn::Load(f, rows_of_.log_sum + r);
    const VF offset = hn::Load(f, rows_of_.offset + r);
    const VF dentropy = hn::Load(f, rows_of_.dentropy + r);
    const VF row_scale = hn::Load(f, rows_of_.scale + r);
    const std::int64_t at = (key - tile_.first_key) * kTileRows + r;
    for (std::int64_t j = 0; j < kStep; j += 2) {
      VF p[2], ds[2];
      for (int n = 0; n < 2; ++n) {
        const std::int64_t here = at + (j + n) * kTileRows;
        const VF score = hn::Load(f, tile_.scores + here);
        const VF log_p = hn::MulSub(score, scale, log_sum);
        VF dp = hn::Load(f, dscores_ + here);
        p[n] = exp2_of(log_p);
        if constexpr (kMasked) {
          p[n] = hn::IfThenElseZero(bounds.visible(key + j + n), p[n]);
        }
        if constexpr (kDropout) {
          dp = hn::Mul(dp, hn::Load(f, tile_.keep + here));
        }
        const VF pull = kEntropy ? hn::MulAdd(dentropy, log_p, offset) : offset;
        ds[n] = hn::Mul(p[n], hn::Sub(dp, pull));
        if constexpr (kCapped) {
          const VF ratio = hn::Mul(score, hn::Set(f, 1.0F / tile_.softcap));
          ds[n] = hn::NegMulAdd(hn::Mul(ratio, ratio), ds[n], ds[n]);
        }
        if constexpr (kDropout) {
          p[n] = hn::Mul(p[n], hn::Load(f, tile_.keep + here));
        }
      }
      store(at + j * kTileRows, r, p, ds, row_scale);
    }
  }

  HWY_INLINE void store(
      std::int64_t at, std::int64_t r, const VF p[2], const VF ds[2], VF row_scale) {
    for (int n = 0; n < 2; ++n) {
      if constexpr (kBf16) {
        store_bits(bf16_bits(p[n]), probabilities_ + at + n * kTileRows);
        store_bits(bf16_bits(hn::Mul(ds[n], row_scale)), dscore_rows_ + at + n * kTileRows);
      } else {
        hn::Store(p[n], F(), probabilities_ + at + n * kTileRows);
        hn::Store(ds[n], F(), dscores_ + at + n * kTileRows);
      }
    }
    if constexpr (kBf16) {
      // A row of pairs is twice as long, and `at` counts r once.
      store_pair(bf16_bits(ds[0]), bf16_bits(ds[1]), dscore_pairs_ + at + r);
    }
  }

  // dq = scale sum ds k; the gradient of the row's own scale is the same sum times q.
  void finish(
      std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t count, std::int64_t rows) {
    unpack_transposed(dq_transposed_, rows_of_.scale, count, p_.D, unpacked_, a_.dq.at(b, h, i),
                      a_.dq.row);
    if (a_.row_dscale == nullptr) {
      return;
    }
    const F f;
    alignas(64) float dscale[kTileRows];
    for (std::int64_t r = 0; r < rows; r += static_cast<std::int64_t>(hn::Lanes(f))) {
      VF sum = hn::Zero(f);
      for (std::int64_t d = 0; d < D_; ++d) {
        sum = hn::MulAdd(q_lanes(d, r), hn::Load(f, dq_transposed_ + d * kTileRows + r), sum);
      }
      hn::Store(hn::Mul(sum, hn::Set(f, static_cast<float>(p_.scale))), f, dscale + r);
    }
    std::memcpy(a_.row_dscale + (b * p_.H + h) * p_.T + i, dscale,
                static_cast<std::size_t>(count) * sizeof(float));
  }

  // Feature d of queries r, r + 1, ..
  HWY_INLINE VF q_lanes(std::int64_t d, std::int64_t r) const {
    if constexpr (kBf16) {
      const VU pair = hn::Load(
          U(), reinterpret_cast<const std::uint32_t*>(q_transposed_) + d / 2 * kTileRows + r);
      return hn::BitCast(
          F(), d % 2 == 0 ? hn::ShiftLeft<16>(pair) : hn::And(pair, hn::Set(U(), 0xffff0000U)));
    } else {
      return hn::Load(F(), q_transposed_ + d * kTileRows + r);
    }
  }

  const BackwardArguments<In>& a_;
  const AttentionProblem& p_;
  std::int64_t D_, E_;  // padded
  std::int64_t keys_ = 0, packed_ = 0;
  ByRows<T> scores_, dprobabilities_, dvalues_, dkeys_, step_dqueries_, tile_dqueries_;
  float *dk_ = nullptr, *dv_ = nullptr, *own_sums_ = nullptr;
  T *k_ = nullptr, *k_transposed_ = nullptr, *v_ = nullptr;
  T *q_rows_ = nullptr, *q_transposed_ = nullptr, *dy_rows_ = nullptr, *dy_transposed_ = nullptr;
  T *rows_ = nullptr, *more_rows_ = nullptr;
  float *unpacked_ = nullptr, *dq_transposed_ = nullptr, *dscores_ = nullptr;
  T *probabilities_ = nullptr, *dscore_rows_ = nullptr, *dscore_pairs_ = nullptr;
  ScoreTile tile_;
  GradientRows rows_of_;
  Scratch scratch_;
};

}  // namespace HWY_NAMESPACE
}  // namespace clausius::ops::detail
HWY_AFTER_NAMESPACE();
#endif
