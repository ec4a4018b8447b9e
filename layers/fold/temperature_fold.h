// SPDX-License-Identifier: Apache-2.0
// Temperatures of heads folded into the query projection: what exports ship.
#pragma once

#include "core/tensor.h"

// Legend: H query heads, D head dim, M model dim.
namespace clausius {

/// The query rows of a projection divided by their head's temperature: scores of what comes out are those of before, over t.
/// Shapes:  rows [H D, M], or a bias [H D]; t [H], the temperatures themselves -> like rows, of their type, on the host
/// Value:   computed in f64 and rounded once.
/// Errors:  ShapeError, also for t [T, H]: a temperature of each position does not fold, it is a table that goes along; ConfigError for
///          a temperature that is not above 0. Not for queries that are normalised after the projection (qk_norm): a norm takes the
///          factor out again.
/// Source:  Jha and Reagen 2025, "Entropy-Guided Attention for Private LLMs", appendix A.
[[nodiscard]] Tensor fold_temperature(const Tensor& rows, const Tensor& t_H);

}  // namespace clausius
