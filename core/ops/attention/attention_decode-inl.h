// SPDX-License-Identifier: Apache-2.0
// The CPU forward kernel of attention for few queries and many keys (decoding): keys and values are read once, where they lie.
#if defined(CLAUSIUS_ATTENTION_DECODE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef CLAUSIUS_ATTENTION_DECODE_INL_H
#undef CLAUSIUS_ATTENTION_DECODE_INL_H
#else
#define CLAUSIUS_ATTENTION_DECODE_INL_H
#endif

#include <cmath>

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include "core/ops/attention/attention_cpu.h"
#include "core/ops/attention/attention_lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::ops::detail {
namespace HWY_NAMESPACE {

// All query rows (h, i) of one b. Units take fixed ranges of keys, all heads of a key together, since they share its memory pages;
// their states are merged in order, so bits do not depend on threads.
template <class In>
class DecodeUnit {
 public:
  explicit DecodeUnit(const ForwardArguments<In>& arguments)
      : a_(arguments), p_(*arguments.problem), q_(Tensor::empty({p_.D}, Dtype::kF32)) {}

  // `states`: decode_states_size() floats of this unit.
  void run(std::int64_t b, std::int64_t split, float* states) {
    const std::int64_t first = larger(split * kDecodeKeys, p_.begin_BT[b * p_.T]);
    const std::int64_t last = smaller((split + 1) * kDecodeKeys, p_.end_BT[b * p_.T + p_.T - 1]);
    for (std::int64_t h = 0; h < p_.H; ++h) {
      for (std::int64_t i = 0; i < p_.T; ++i) {
        const bool sink = split == 0 && a_.parameters.sink != nullptr;
        state_of(states, h, i).start(sink ? a_.parameters.sink[h] * kLog2E : kNothing);
      }
    }
    for (std::int64_t key = first; key < last; key += kTileKeys) {
      const std::int64_t end = smaller(key + kTileKeys, last);
      for (std::int64_t h = 0; h < p_.H; ++h) {
        const std::int64_t g = h / p_.heads_per_group();
        if (h % p_.heads_per_group() == 0) {
          prefetch_rows(a_.k.at(b, g, end), a_.k.row, smaller(kTileKeys, last - end), p_.D);
          prefetch_rows(a_.v.at(b, g, end), a_.v.row, smaller(kTileKeys, last - end), p_.E);
        }
        for (std::int64_t i = 0; i < p_.T; ++i) {
          keys(b, h, i, larger(key, p_.begin_BT[b * p_.T + i]),
               smaller(end, p_.end_BT[b * p_.T + i]), state_of(states, h, i));
        }
      }
    }
  }

  // Merges the states of `splits` units into the first one's, and writes the results of the rows.
  void finish(std::int64_t b, std::int64_t splits, float* states) {
    for (std::int64_t h = 0; h < p_.H; ++h) {
      for (std::int64_t i = 0; i < p_.T; ++i) {
        const State total = state_of(states, h, i);
        for (std::int64_t split = 1; split < splits; ++split) {
          total.merge(state_of(states + split * decode_states_size(p_), h, i));
        }
        write(b, h, i, total);
      }
    }
  }

 private:
  // Running max, sum, weighted sum (log2 units), largest raw score and sum of p v of one row.
  struct State {
    State(float* memory, std::int64_t width)
        : max(memory[0]),
          sum(memory[1]),
          weighted(memory[2]),
          largest(memory[3]),
          y(memory + 4),
          E(width) {}

    void start(float sink) const {
      max = sink;
      sum = sink == kNothing ? 0.0F : 1.0F;
      weighted = 0.0F;
      largest = kNothing;
      std::memset(y, 0, static_cast<std::size_t>(E) * sizeof(float));
    }
    // The same sums relative to a maximum that is not smaller.
    void raise(float new_max) const {
      if (new_max > max) {
        const float factor = hn::GetLane(exp2_of(hn::Set(F(), max - new_max)));
        weighted = factor * (weighted - (new_max - max) * sum);
        sum *= factor;
        for (std::int64_t e = 0; e < E; ++e) {
          y[e] *= factor;
        }
        max = new_max;
      }
    }
    void merge(const State& other) const {
      largest = HWY_MAX(largest, other.largest);
      other.raise(max);
      raise(other.max);
      sum += other.sum;
      weighted += other.weighted;
      for (std::int64_t e = 0; e < E; ++e) {
        y[e] += other.y[e];
      }
    }

    float &max, &sum, &weighted, &largest;
    float* y;
    std::int64_t E;
  };

  static std::int64_t smaller(std::int64_t a, std::int64_t b) { return HWY_MIN(a, b); }
  static std::int64_t larger(std::int64_t a, std::int64_t b) { return HWY_MAX(a, b); }
  [[nodiscard]] State state_of(float* states, std::int64_t h, std::int64_t i) const {
    return State(states + (h * p_.T + i) * (4 + p_.E), p_.E);
  }

  // Adds keys [from, to), at most kTileKeys, to the row's state.
  void keys(std::int64_t b,
            std::int64_t h,
            std::int64_t i,
            std::int64_t from,
            std::int64_t to,
            const State& state) {
    if (from >= to) {
      return;
    }
    const F f;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(f));
    const std::int64_t g = h / p_.heads_per_group();
    float* q = q_.data<float>();
    copy_row(a_.q.at(b, h, i), q, p_.D);
    alignas(64) float s[kTileKeys];
    const std::int64_t count = to - from;
    for (std::int64_t j = 0; j < count; ++j) {
      s[j] = dot(a_.k.at(b, g, from + j), q, p_.D);
    }
    const auto scale = static_cast<float>(p_.scale * a_.parameters.scale_of(h, i)) * kLog2E;
    const float cap = static_cast<float>(p_.softcap) * kLog2E;
    VF top = hn::Set(f, kNothing);
    VF largest = top;
    for (std::int64_t j = 0; j < count; j += lanes) {
      const auto there = hn::FirstN(f, static_cast<std::size_t>(count - j));
      VF score = hn::Mul(hn::IfThenElseZero(there, hn::Load(f, s + j)), hn::Set(f, scale));
      largest = hn::Max(largest, hn::IfThenElse(there, score, largest));
      if (cap > 0) {
        score = hn::Mul(hn::Set(f, cap), hn::CallTanh(f, hn::Mul(score, hn::Set(f, 1.0F / cap))));
        hn::Store(score, f, s + j);
      }
      top = hn::Max(top, hn::IfThenElse(there, score, top));
    }
    state.largest = HWY_MAX(state.largest, hn::GetLane(hn::MaxOfLanes(f, largest)));
    state.raise(hn::GetLane(hn::MaxOfLanes(f, top)));
    VF sum = hn::Zero(f);
    VF weighted = hn::Zero(f);
    for (std::int64_t j = 0; j < count; j += lanes) {
      const auto there = hn::FirstN(f, static_cast<std::size_t>(count - j));
      const VF t = hn::IfThenElseZero(
          there, hn::MulSub(hn::Load(f, s + j), hn::Set(f, cap > 0 ? 1.0F : scale),
                            hn::Set(f, state.max)));
      const VF p = hn::IfThenElseZero(there, exp2_of(t));
      sum = hn::Add(sum, p);
      weighted = hn::MulAdd(p, t, weighted);
      hn::Store(p, f, s + j);
    }
    state.sum += hn::GetLane(hn::SumOfLanes(f, sum));
    state.weighted += hn::GetLane(hn::SumOfLanes(f, weighted));
    add_values(a_.v.at(b, g, from), count, s, state.y);
  }

  // y += sum_j p[j] v row j, four vectors of features at a time.
  HWY_INLINE void add_values(const In* v, std::int64_t count, const float* p, float* y) {
    const F f;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(f));
    std::int64_t e = 0;
    for (; e + 4 * lanes <= p_.E; e += 4 * lanes) {
      VF sum[4];
      for (int n = 0; n < 4; ++n) {
        sum[n] = hn::LoadU(f, y + e + n * lanes);
      }
      for (std::int64_t j = 0; j < count; ++j) {
        for (int n = 0; n < 4; ++n) {
          sum[n] =
              hn::MulAdd(hn::Set(f, p[j]), load_lanes(v + j * a_.v.row + e + n * lanes), sum[n]);
        }
      }
      for (int n = 0; n < 4; ++n) {
        hn::StoreU(sum[n], f, y + e + n * lanes);
      }
    }
    for (; e + lanes <= p_.E; e += lanes) {
      VF sum = hn::LoadU(f, y + e);
      for (std::int64_t j = 0; j < count; ++j) {
        sum = hn::MulAdd(hn::Set(f, p[j]), load_lanes(v + j * a_.v.row + e), sum);
      }
      hn::StoreU(sum, f, y + e);
    }
    for (; e < p_.E; ++e) {
      for (std::int64_t j = 0; j < count; ++j) {
        y[e] += p[j] * static_cast<float>(v[j * a_.v.row + e]);
      }
    }
  }

  void write(std::int64_t b, std::int64_t h, std::int64_t i, const State& state) {
    const std::int64_t head = b * p_.H + h;
    const bool seen = state.sum != 0.0F;
    const float log_sum = seen ? std::log(state.sum) : 0.0F;
    const std::int32_t choices = p_.end_BT[b * p_.T + i] - p_.begin_BT[b * p_.T + i] +
                                 (a_.parameters.sink != nullptr ? 1 : 0);
    const float most = choices > 1 ? std::log(static_cast<float>(choices)) : 0.0F;
    const float entropy = seen ? log_sum - kLn2 * state.weighted / state.sum : 0.0F;
    a_.entropy[head * p_.T + i] = entropy < 0.0F ? 0.0F : entropy > most ? most : entropy;
    a_.lse[head * p_.T + i] =
        seen ? state.max * kLn2 + log_sum : -std::numeric_limits<float>::infinity();
    store_scaled(state.y, seen ? 1.0F / state.sum : 0.0F, p_.E, a_.y.at(b, h, i));
    const float largest =
        state.largest == kNothing ? -std::numeric_limits<float>::infinity() : state.largest * kLn2;
    a_.block_max[head] = i == 0 ? largest : HWY_MAX(a_.block_max[head], largest);
  }

  const ForwardArguments<In>& a_;
  const AttentionProblem& p_;
  Tensor q_;
};

}  // namespace HWY_NAMESPACE
}  // namespace clausius::ops::detail
HWY_AFTER_NAMESPACE();
#endif
