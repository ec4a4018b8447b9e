// SPDX-License-Identifier: Apache-2.0
// Attention by its definition, one row at a time: the f64 path, the fallback, and what fast kernels
// are compared with.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "core/ops/attention/attention.h"
#include "core/ops/attention/attention_dropout.h"
#include "core/parallel.h"

namespace clausius::ops {

/// Sums in double, zero at first.
class Sums {
 public:
  Sums(std::int64_t rows, std::int64_t columns)
      : columns_(columns), values_(static_cast<std::size_t>(rows * columns)) {}
  double& operator()(std::int64_t row, std::int64_t column) {
    return values_[static_cast<std::size_t>(row * columns_ + column)];
  }

 private:
  std::int64_t columns_;
  std::vector<double> values_;
};

/// One row (b, h, i): scores of its visible keys and what follows from them, in double.
template <class T>
class AttentionRow {
 public:
  AttentionRow(const Tensor& q,
               const Tensor& k,
               const Tensor& scale,
               const Tensor& sink,
               const AttentionProblem& problem,
               std::int64_t b,
               std::int64_t h,
               std::int64_t i)
      : begin(problem.begin_BT[b * problem.T + i]),
        end(problem.end_BT[b * problem.T + i]),
        problem_(problem),
        b_(b),
        h_(h),
        i_(i) {
    const View<const T, 4> q_BHTD(q);
    const View<const T, 4> k_BGSD(k);
    if (sink.defined()) {
      sink_logit = View<const T, 1>(sink)(h);
    }
    if (scale.defined()) {
      row_scale = scale.rank() == 1 ? View<const T, 1>(scale)(h) : View<const T, 2>(scale)(h, i);
    }
    const std::int64_t g = h / problem.heads_per_group();
    for (std::int64_t j = begin; j < end; ++j) {
      double dot = 0;
      for (std::int64_t d = 0; d < problem.D; ++d) {
        dot += double{q_BHTD(b, h, i, d)} * k_BGSD(b, g, j, d);
      }
      raw.push_back(problem.scale * row_scale * dot);
      logit.push_back(problem.softcap > 0
                          ? problem.softcap * std::tanh(raw.back() / problem.softcap)
                          : raw.back());
    }
  }

  /// d s' / d s of key begin + n.
  [[nodiscard]] double softcap_slope(std::size_t n) const {
    const double ratio = problem_.softcap > 0 ? logit[n] / problem_.softcap : 0.0;
    return 1 - ratio * ratio;
  }
  /// 0 where dropped, else 1 / (1 - dropout).
  [[nodiscard]] double keep(std::int64_t j) const {
    if (problem_.dropout == 0) {
      return 1.0;
    }
    const PhiloxBlock words =
        dropout_stream(problem_, b_).block(dropout_block(problem_, h_, i_, j));
    return words[static_cast<std::size_t>(j % 4)] < dropout_threshold(problem_.dropout)
               ? 0.0
               : 1 / (1 - problem_.dropout);
  }

  std::int64_t begin;
  std::int64_t end;
  double row_scale = 1.0;
  std::optional<double> sink_logit;
  std::vector<double> raw;    // s
  std::vector<double> logit;  // s'

 private:
  const AttentionProblem& problem_;
  std::int64_t b_;
  std::int64_t h_;
  std::int64_t i_;
};

template <class T>
void attention_forward_reference(const Tensor& q,
                                 const Tensor& k,
                                 const Tensor& v,
                                 const Tensor& scale,
                                 const Tensor& sink,
                                 const AttentionProblem& problem,
                                 Tensor& y,
                                 Tensor& entropy,
                                 Tensor& lse,
                                 Tensor& max_logit) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const View<const T, 4> v_BGSE(v);
  const View<T, 4> y_BTHE(y);
  const View<T, 3> entropy_BHT(entropy), lse_BHT(lse);
  const View<T, 2> max_logit_BH(max_logit);
  parallel_for(problem.B * problem.H, 1, [&](std::int64_t head, std::int64_t) {
    const std::int64_t b = head / problem.H;
    const std::int64_t h = head % problem.H;
    const std::int64_t g = h / problem.heads_per_group();
    double largest = -kInfinity;
    for (std::int64_t i = 0; i < problem.T; ++i) {
      const AttentionRow<T> row(q, k, scale, sink, problem, b, h, i);
      double top = row.sink_logit.value_or(-kInfinity);
      for (std::size_t n = 0; n < row.logit.size(); ++n) {
        largest = std::max(largest, row.raw[n]);
        top = std::max(top, row.logit[n]);
      }
      double sum = 0;
      double weighted = 0;
      Sums value(1, problem.E);
      const auto add = [&](double shifted) {
        const double weight = std::exp(shifted);
        sum += weight;
        weighted += weight == 0 ? 0.0 : weight * shifted;
        return weight;
      };
      if (row.sink_logit) {
        add(*row.sink_logit - top);
      }
      for (std::int64_t j = row.begin; j < row.end; ++j) {
        const double weight =
            row.keep(j) * add(row.logit[static_cast<std::size_t>(j - row.begin)] - top);
        for (std::int64_t e = 0; e < problem.E; ++e) {
          value(0, e) += weight * v_BGSE(b, g, j, e);
        }
      }
      for (std::int64_t e = 0; e < problem.E; ++e) {
        y_BTHE(b, i, h, e) = static_cast<T>(sum > 0 ? value(0, e) / sum : 0.0);
      }
      lse_BHT(b, h, i) = static_cast<T>(sum > 0 ? top + std::log(sum) : -kInfinity);
      entropy_BHT(b, h, i) = static_cast<T>(sum > 0 ? std::log(sum) - weighted / sum : 0.0);
    }
    max_logit_BH(b, h) = static_cast<T>(largest);
  });
}

/// `sum` ([H] or [H, T]; may be undefined) = per-row values [B, H, T] added over the dimensions it
/// lacks, in order.
template <class T, class Row>
void sum_attention_rows(std::span<const Row> row_BHT,
                        const AttentionProblem& problem,
                        Tensor& sum) {
  if (!sum.defined()) {
    return;
  }
  const std::int64_t width = sum.rank() == 1 ? 1 : problem.T;
  Sums total(problem.H, width);
  for (std::int64_t b = 0, n = 0; b < problem.B; ++b) {
    for (std::int64_t h = 0; h < problem.H; ++h) {
      for (std::int64_t i = 0; i < problem.T; ++i, ++n) {
        total(h, i % width) += row_BHT[static_cast<std::size_t>(n)];
      }
    }
  }
  for (std::int64_t h = 0; h < problem.H; ++h) {
    for (std::int64_t i = 0; i < width; ++i) {
      (sum.rank() == 1 ? View<T, 1>(sum)(h) : View<T, 2>(sum)(h, i)) = static_cast<T>(total(h, i));
    }
  }
}

/// Gradients of the rows of one (b, h), added to dk and dv of its group.
template <class T>
class AttentionHeadBackward {
 public:
  const Tensor &dy, &dentropy, &dlse, &q, &k, &v, &scale, &sink, &y, &entropy, &lse;
  const AttentionProblem& problem;
  std::int64_t b, h;
  Sums &dk_SD, &dv_SE;

  /// Writes dq of row i; adds this row's share of the gradients of its scale and of the sink.
  void row(std::int64_t i, const View<T, 4>& dq_BHTD, double& dscale, double& dsink) const {
    const std::int64_t g = h / problem.heads_per_group();
    const View<const T, 4> q_BHTD(q), k_BGSD(k), v_BGSE(v), dy_BTHE(dy), y_BTHE(y);
    const AttentionRow<T> row(q, k, scale, sink, problem, b, h, i);
    const double H = View<const T, 3>(entropy)(b, h, i);
    const double log_sum = View<const T, 3>(lse)(b, h, i);
    const double dH = dentropy.defined() ? View<const T, 3>(dentropy)(b, h, i) : T{0};
    const double dL = dlse.defined() ? View<const T, 3>(dlse)(b, h, i) : T{0};
    double dot = 0;
    for (std::int64_t e = 0; e < problem.E; ++e) {
      dot += double{dy_BTHE(b, i, h, e)} * y_BTHE(b, i, h, e);
    }
    // Gradient of the logit whose probability is exp(log_p); dp: gradient of that probability from
    // y.
    const auto dlogit = [&](double log_p, double dp) {
      const double p = std::exp(log_p);
      return p == 0 ? 0.0 : p * (dp - dot + dL - dH * (log_p + H));
    };
    Sums dq(1, problem.D);
    for (std::int64_t j = row.begin; j < row.end; ++j) {
      const auto n = static_cast<std::size_t>(j - row.begin);
      const double log_p = row.logit[n] - log_sum;
      const double keep = row.keep(j);
      double dp = 0;
      for (std::int64_t e = 0; e < problem.E; ++e) {
        dp += double{dy_BTHE(b, i, h, e)} * v_BGSE(b, g, j, e);
        dv_SE(j, e) += keep * std::exp(log_p) * dy_BTHE(b, i, h, e);
      }
      const double draw = row.softcap_slope(n) * dlogit(log_p, keep * dp);
      double product = 0;
      for (std::int64_t d = 0; d < problem.D; ++d) {
        product += double{q_BHTD(b, h, i, d)} * k_BGSD(b, g, j, d);
        dq(0, d) += problem.scale * row.row_scale * draw * k_BGSD(b, g, j, d);
        dk_SD(j, d) += problem.scale * row.row_scale * draw * q_BHTD(b, h, i, d);
      }
      dscale += problem.scale * draw * product;
    }
    for (std::int64_t d = 0; d < problem.D; ++d) {
      dq_BHTD(b, h, i, d) = static_cast<T>(dq(0, d));
    }
    if (row.sink_logit) {
      dsink += dlogit(*row.sink_logit - log_sum, 0.0);
    }
  }
};

template <class T>
void attention_backward_reference(const Tensor& dy,
                                  const Tensor& dentropy,
                                  const Tensor& dlse,
                                  const Tensor& q,
                                  const Tensor& k,
                                  const Tensor& v,
                                  const Tensor& scale,
                                  const Tensor& sink,
                                  const Tensor& y,
                                  const Tensor& entropy,
                                  const Tensor& lse,
                                  const AttentionProblem& problem,
                                  Tensor& dq,
                                  Tensor& dk,
                                  Tensor& dv,
                                  Tensor& dscale,
                                  Tensor& dsink) {
  std::vector<double> row_dscale(static_cast<std::size_t>(problem.B * problem.H * problem.T));
  std::vector<double> row_dsink(row_dscale.size());
  parallel_for(problem.B * problem.G, 1, [&](std::int64_t unit, std::int64_t) {
    const std::int64_t b = unit / problem.G;
    const std::int64_t g = unit % problem.G;
    Sums dk_SD(problem.S, problem.D);
    Sums dv_SE(problem.S, problem.E);
    const View<T, 4> dq_BHTD(dq), dk_BGSD(dk), dv_BGSE(dv);
    for (std::int64_t h = g * problem.heads_per_group(); h < (g + 1) * problem.heads_per_group();
         ++h) {
      const AttentionHeadBackward<T> head{dy, dentropy, dlse, q,       k, v, scale, sink,
                                          y,  entropy,  lse,  problem, b, h, dk_SD, dv_SE};
      for (std::int64_t i = 0; i < problem.T; ++i) {
        const auto n = static_cast<std::size_t>((b * problem.H + h) * problem.T + i);
        head.row(i, dq_BHTD, row_dscale[n], row_dsink[n]);
      }
    }
    for (std::int64_t j = 0; j < problem.S; ++j) {
      for (std::int64_t d = 0; d < problem.D; ++d) {
        dk_BGSD(b, g, j, d) = static_cast<T>(dk_SD(j, d));
      }
      for (std::int64_t e = 0; e < problem.E; ++e) {
        dv_BGSE(b, g, j, e) = static_cast<T>(dv_SE(j, e));
      }
    }
  });
  sum_attention_rows<T, double>(row_dscale, problem, dscale);
  sum_attention_rows<T, double>(row_dsink, problem, dsink);
}

}  // namespace clausius::ops
