// SPDX-License-Identifier: Apache-2.0
// The CPU kernels of attention_probe: scores tile by tile, as attention makes them, and two sums over each row.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/attention/attention_probe_cpu.cpp"
#include <cmath>

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/ops/attention/attention_cpu.h"
#include "core/ops/attention/attention_probe.h"
#include "core/ops/attention/attention_tile-inl.h"
#include "core/parallel.h"
#include "core/simd/dispatch.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::ops::detail {
namespace HWY_NAMESPACE {

template <class In>
struct ProbeArguments {
  HeadRows<const In> q, k;
  HeadParameters parameters;
  RowValues lse;
  const std::int32_t* document_begin;  // [B, T]
  const AttentionProblem* problem;
  float* spread;  // [B, H, T], or null
  float* first;   // [B, H, T]
};

// The spreads of one block of 64 queries of the heads of one (b, g). T: element type of the products.
template <class In, class T>
class SpreadUnit {
 public:
  explicit SpreadUnit(const ProbeArguments<In>& arguments)
      : a_(arguments), p_(*arguments.problem), D_(round_up(p_.D, kStep)) {
    for (std::int64_t rows = kStep; rows <= kTileRows; rows += kStep) {
      scores_[static_cast<std::size_t>(rows / kStep - 1)] =
          TileProduct<T>::make(rows, kStep, D_, kTileRows, D_, kTileRows, false, true);
    }
    scratch_.take(k_, kTileKeys * D_);
    scratch_.take(rows_, kTileRows * D_);
    scratch_.take(q_transposed_, kTileRows * D_);
    scratch_.take(tile_.scores, kTileKeys * kTileRows);
    scratch_.allocate();
  }

  void run(std::int64_t b, std::int64_t g, std::int64_t block) {
    const std::int64_t i = block * kTileRows;
    const std::int64_t count = HWY_MIN(kTileRows, p_.T - i);
    for (std::int64_t h = g * p_.heads_per_group(); h < (g + 1) * p_.heads_per_group(); ++h) {
      start(b, h, i, count);
      const std::int64_t rows = round_up(count, kStep);
      const std::int64_t end = tile_.end[rows - 1];
      for (std::int64_t key = tile_.begin[0] / kTileKeys * kTileKeys; key < end; key += kTileKeys) {
        pack_rows(a_.k.at(b, g, key), a_.k.row, HWY_MIN(kTileKeys, end - key), p_.D, k_, kTileKeys,
                  D_);
        tile_.plan = plan_tile(tile_.begin, tile_.end, rows, key);
        tile_.first_key = key;
        tile_product_rows(tile_.plan, scores_, q_transposed_, k_, D_, tile_.scores);
        for (std::int64_t r = 0; r < rows; r += static_cast<std::int64_t>(hn::Lanes(F()))) {
          add_lanes(r);
        }
      }
      finish(b, h, i, count);
    }
  }

 private:
  void start(std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t count) {
    const std::int64_t rows = round_up(count, kStep);
    tile_.load(a_.parameters, p_, b, h, i, count);
    pack_rows(a_.q.at(b, h, i), a_.q.row, count, p_.D, rows_, rows, D_);
    transposed_a(rows_, rows, D_, q_transposed_);
    const bool sink = a_.parameters.sink != nullptr;
    for (std::int64_t r = 0; r < kTileRows; ++r) {
      const std::int64_t outcomes = tile_.end[r] - tile_.begin[r] + (sink ? 1 : 0);
      const float lse = a_.lse.at(b, h, i + HWY_MIN(r, count - 1));
      center_[r] = outcomes > 0 ? (lse - std::log(static_cast<float>(outcomes))) * kLog2E : 0.0F;
      sum_[r] = sink ? a_.parameters.sink[h] * kLog2E - center_[r] : 0.0F;
      squares_[r] = sum_[r] * sum_[r];
    }
  }

  // Scores of the rows r, r + 1, .. (one vector) into their sums; log2 units.
  HWY_INLINE void add_lanes(std::int64_t r) {
    const F f;
    const LaneBounds bounds(tile_, r);
    const VF center = hn::Load(f, center_ + r);
    VF scale = hn::Load(f, tile_.scale + r);
    if (tile_.softcap > 0) {
      for_each_step(tile_, bounds, r, [&](auto masked, float* s, std::int64_t key) HWY_ATTR {
        softcap_step<masked.value>(s, scale, tile_.softcap, bounds, key);
      });
      scale = hn::Set(f, 1.0F);
    }
    VF sum = hn::Zero(f);
    VF squares = hn::Zero(f);
    for_each_step(tile_, bounds, r, [&](auto masked, float* s, std::int64_t key) HWY_ATTR {
      for (std::int64_t j = 0; j < kStep; ++j) {
        VF t = hn::MulSub(hn::Load(f, s + j * kTileRows), scale, center);
        if constexpr (masked.value) {
          t = hn::IfThenElseZero(bounds.visible(key + j), t);
        }
        sum = hn::Add(sum, t);
        squares = hn::MulAdd(t, t, squares);
      }
    });
    hn::Store(hn::Add(hn::Load(f, sum_ + r), sum), f, sum_ + r);
    hn::Store(hn::Add(hn::Load(f, squares_ + r), squares), f, squares_ + r);
  }

  void finish(std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t count) {
    const int sinks = a_.parameters.sink != nullptr ? 1 : 0;
    float* spread = a_.spread + (b * p_.H + h) * p_.T + i;
    for (std::int64_t r = 0; r < count; ++r) {
      const auto outcomes = static_cast<float>(tile_.end[r] - tile_.begin[r] + sinks);
      const float around_mean = outcomes > 0 ? squares_[r] - sum_[r] * (sum_[r] / outcomes) : 0.0F;
      spread[r] = around_mean < 0 ? 0.0F : std::sqrt(around_mean) * kLn2;  // NaN comes through
    }
  }

  const ProbeArguments<In>& a_;
  const AttentionProblem& p_;
  std::int64_t D_;  // padded
  ByRows<T> scores_;
  T *k_ = nullptr, *rows_ = nullptr, *q_transposed_ = nullptr;
  ScoreTile tile_;
  alignas(64) float center_[kTileRows];   // what is taken off every logit
  alignas(64) float sum_[kTileRows];      // of the logits less that
  alignas(64) float squares_[kTileRows];  // and of their squares
  Scratch scratch_;
};

template <class In>
void probe_first(const ProbeArguments<In>& a) {
  const AttentionProblem& p = *a.problem;
  parallel_for(p.B * p.H * p.T, 1 << 10, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n) {
      const std::int64_t i = n % p.T;
      const std::int64_t h = n / p.T % p.H;
      const std::int64_t b = n / p.T / p.H;
      const std::int64_t key = a.document_begin[b * p.T + i];
      const std::int64_t row = b * p.T + i;
      if (p.begin_BT[row] != key || p.begin_BT[row] >= p.end_BT[row]) {
        a.first[n] = -1.0F;
        continue;
      }
      const float product = dot(a.q.at(b, h, i), a.k.at(b, h / p.heads_per_group(), key), p.D);
      const float s = product * static_cast<float>(p.scale * a.parameters.scale_of(h, i));
      const auto cap = static_cast<float>(p.softcap);
      a.first[n] = std::exp((cap > 0 ? cap * std::tanh(s / cap) : s) - a.lse.at(b, h, i));
    }
  });
}

template <class In, class T>
void probe(const Tensor& q,
           const Tensor& k,
           const Tensor& scale,
           const Tensor& sink,
           const Tensor& lse,
           const Tensor& document_begin,
           const AttentionProblem& problem,
           Tensor& spread,
           Tensor& first) {
  const ProbeArguments<In> arguments{.q = HeadRows<const In>(q, 1),
                                     .k = HeadRows<const In>(k, 1),
                                     .parameters = HeadParameters(scale, sink),
                                     .lse = RowValues(lse),
                                     .document_begin = document_begin.data<std::int32_t>(),
                                     .problem = &problem,
                                     .spread = spread.defined() ? spread.data<float>() : nullptr,
                                     .first = first.data<float>()};
  probe_first(arguments);
  if (!spread.defined()) {
    return;
  }
  const std::int64_t blocks = div_ceil(problem.T, kTileRows);
  const std::int64_t groups = problem.B * problem.G;
  const std::int64_t units = groups * blocks;
  parallel_for(units, units_per_chunk(units), [&](std::int64_t begin, std::int64_t end) {
    SpreadUnit<In, T> unit(arguments);
    for (std::int64_t n = begin; n < end; ++n) {
      // Later blocks of a causal mask see more keys: the long units first.
      unit.run(n % groups / problem.G, n % problem.G, blocks - 1 - n / groups);
    }
  });
}

void probe_f32(const Tensor& q,
               const Tensor& k,
               const Tensor& scale,
               const Tensor& sink,
               const Tensor& lse,
               const Tensor& document_begin,
               const AttentionProblem& problem,
               Tensor& spread,
               Tensor& first) {
  probe<float, float>(q, k, scale, sink, lse, document_begin, problem, spread, first);
}

void probe_bf16(const Tensor& q,
                const Tensor& k,
                const Tensor& scale,
                const Tensor& sink,
                const Tensor& lse,
                const Tensor& document_begin,
                const AttentionProblem& problem,
                Tensor& spread,
                Tensor& first) {
  const auto run = has_bf16_products() ? probe<bf16, bf16> : probe<bf16, float>;
  run(q, k, scale, sink, lse, document_begin, problem, spread, first);
}

}  // namespace HWY_NAMESPACE
}  // namespace clausius::ops::detail
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace clausius::ops::detail {
CLS_SIMD_KERNEL(attention_probe, kF32, probe_f32);
CLS_SIMD_KERNEL(attention_probe, kBf16, probe_bf16);
}  // namespace clausius::ops::detail
#endif  // HWY_ONCE
