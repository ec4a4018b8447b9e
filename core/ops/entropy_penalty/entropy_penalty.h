// SPDX-License-Identifier: Apache-2.0
// How far row entropies are from a threshold of their head: the term of the entropy regularizer.
#pragma once

#include <cstdint>

#include "core/kernel_table.h"
#include "core/tensor.h"

// Legend: B batch, H heads, T tokens.
namespace clausius::ops {

struct EntropyPenaltyOptions {
  /// One deviation for each sample and head, of the mean over its rows, instead of one for each row.
  bool of_means = false;
  /// The entropy, in nats, that thresholds and tolerance are shares of.
  double maximum = 1.0;
  /// Deviations of at most tolerance * maximum cost nothing.
  double tolerance = 0.0;
  /// Rows at positions below this count nowhere.
  std::int64_t skip_rows = 0;
  /// Multiplies every term.
  double scale = 1.0;
};

/// Shapes:  entropy_BHT, threshold_H of one floating type; outcomes_BT, positions_BT i32 -> []. positions may be undefined without
///          skip_rows.
/// Value:   scale * sum of d^2 where |d| > tolerance * maximum, d = H - threshold * maximum; the jump at the border is part of the
///          definition. Rows with no outcome count nowhere. Terms and sums in f64, in an order that depends on the shapes alone. A NaN
///          comes through.
/// Errors:  ShapeError, DtypeError; UnsupportedError on devices except f32.
/// Cost:    memory-bound, one reading; the host does not wait.
/// Source:  Jha and Reagen 2025, "Entropy-Guided Attention for Private LLMs", algorithm 1 (of_means) and appendix (rows).
[[nodiscard]] Tensor entropy_penalty(const Tensor& entropy_BHT,
                                     const Tensor& threshold_H,
                                     const Tensor& outcomes_BT,
                                     const Tensor& positions_BT,
                                     const EntropyPenaltyOptions& options);

struct EntropyPenaltyGradients {
  Tensor
      dentropy_BHT;  // 2 d scale dy where the row counts and deviates (of_means: shared by the rows of the mean)
  Tensor dthreshold_H;  // - maximum * sum of dentropy over the head
};

/// dy: [], of the type of the entropies. The border is a constant. Everything else as above.
[[nodiscard]] EntropyPenaltyGradients entropy_penalty_backward(
    const Tensor& dy,
    const Tensor& entropy_BHT,
    const Tensor& threshold_H,
    const Tensor& outcomes_BT,
    const Tensor& positions_BT,
    const EntropyPenaltyOptions& options);

/// Kernels get dense tensors, at least one row; head_sums_H is scratch, f64, one number a head.
using EntropyPenaltyKernels = KernelTable<void(const Tensor& entropy_BHT,
                                               const Tensor& threshold_H,
                                               const Tensor& outcomes_BT,
                                               const Tensor& positions_BT,
                                               Tensor& head_sums_H,
                                               Tensor& penalty,
                                               const EntropyPenaltyOptions& options)>;
EntropyPenaltyKernels& entropy_penalty_kernels();

using EntropyPenaltyBackwardKernels = KernelTable<void(const Tensor& dy,
                                                       const Tensor& entropy_BHT,
                                                       const Tensor& threshold_H,
                                                       const Tensor& outcomes_BT,
                                                       const Tensor& positions_BT,
                                                       Tensor& dentropy_BHT,
                                                       Tensor& dthreshold_H,
                                                       const EntropyPenaltyOptions& options)>;
EntropyPenaltyBackwardKernels& entropy_penalty_backward_kernels();

}  // namespace clausius::ops
