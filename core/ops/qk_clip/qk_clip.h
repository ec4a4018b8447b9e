// SPDX-License-Identifier: Apache-2.0
// QK-clip: rows of the query and key projections shrunk where a head's scores have grown too large.
#pragma once

#include <cstdint>

#include "core/kernel_table.h"
#include "core/tensor.h"

// Legend: H query heads, G key heads, D head dim, R rows, M columns.
namespace clausius::ops {

/// Which rows a matrix holds, and how they shrink.
struct QkClipPlan {
  std::int64_t query_heads = 0;
  std::int64_t key_heads = 0;
  std::int64_t head_dim = 0;
  /// Row 0 of the matrix is this one of the H D query rows followed by the G D key rows.
  std::int64_t first_row = 0;
  double threshold = 100.0;
  /// The queries' part: their exponent, 1 - balance that of the keys.
  double balance = 0.5;
};

/// Multiplies the rows of each head so that its scores, linear in both projections, are multiplied by g_h = threshold / max_h where
/// max_h > threshold, and by 1 elsewhere. A key head shared by the query heads of a group shrinks by g_k = (min_h g_h)^(1 - balance), each
/// of their queries by g_h / g_k: an unclipped head of the group keeps its scores.
/// Shapes:  max_H [H] f64; rows [R, M] f32 or f64, rows_copy (may be undefined) bf16 beside it; clips_H [H] f64 or undefined
/// Value:   rows that keep their size are not written; a maximum that is not finite clips nothing. `clips` += 1 for each clipped head
///          whose first query row is among the rows.
/// Errors:  ShapeError, DtypeError.
/// Cost:    nothing but H numbers where no head is clipped, one pass over the rows where one is; decided where the numbers are: the host
///          does not wait.
/// Source:  Kimi Team 2025, "Kimi K2" (MuonClip); the rule for groups is ours.
void qk_clip(const Tensor& max_H,
             const QkClipPlan& plan,
             Tensor& rows_RM,
             Tensor& rows_copy_RM,
             Tensor& clips_H);

/// Dense tensors with at least one element, looked up by the type of `rows`.
using QkClipKernels = KernelTable<void(const Tensor& max_H,
                                       const QkClipPlan& plan,
                                       Tensor& rows_RM,
                                       Tensor& rows_copy_RM,
                                       Tensor& clips_H)>;
QkClipKernels& qk_clip_kernels();

namespace detail {

/// g_h.
constexpr double qk_clip_gamma(double max, double threshold) {
  constexpr double kLargest = 1.7976931348623157e308;
  return max > threshold && max <= kLargest ? threshold / max : 1.0;
}

/// What row `row` of all query and key rows is multiplied by; pow(x, y) is the caller's.
template <class Pow>
constexpr double qk_clip_factor(const QkClipPlan& plan,
                                const double* max_H,
                                std::int64_t row,
                                const Pow& power) {
  const std::int64_t group = plan.query_heads / plan.key_heads;
  const std::int64_t head = row / plan.head_dim;
  const bool query = head < plan.query_heads;
  const std::int64_t first = (query ? head / group : head - plan.query_heads) * group;
  double lowest = 1.0;
  for (std::int64_t h = first; h < first + group; ++h) {
    const double gamma = qk_clip_gamma(max_H[h], plan.threshold);
    lowest = gamma < lowest ? gamma : lowest;
  }
  if (lowest == 1.0) {
    return 1.0;
  }
  const double of_keys = power(lowest, 1.0 - plan.balance);
  return query ? qk_clip_gamma(max_H[head], plan.threshold) / of_keys : of_keys;
}

}  // namespace detail

}  // namespace clausius::ops
