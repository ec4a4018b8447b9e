// SPDX-License-Identifier: Apache-2.0
// Differentiable views: reshape, transpose, split, slice, concat. No arithmetic; values share
// memory where they can.
#pragma once

#include <span>
#include <vector>

#include "autograd/variable.h"

namespace clausius {

/// Same elements, another shape (one size may be -1). The value must be viewable so.
[[nodiscard]] Variable reshape(const Variable& x, const Shape& shape);
[[nodiscard]] Variable transpose(const Variable& x, int a, int b);

/// Cuts `axis` into consecutive parts of the given sizes, which must add up to it. The parts are
/// strided views, and their gradients are written in place into one buffer: cutting q, k, v out of
/// a fused projection copies nothing in either direction.
[[nodiscard]] std::vector<Variable> split(const Variable& x,
                                          int axis,
                                          std::span<const std::int64_t> sizes);

/// Cuts the last dimension into groups of heads: x (B, T, sum of counts * head_dim) -> one (B, T, count, head_dim) view a group. A split
/// as above.
[[nodiscard]] std::vector<Variable> split_heads(const Variable& x,
                                                std::span<const std::int64_t> counts,
                                                std::int64_t head_dim);

/// Elements [begin, end) of `axis`. The gradient is zero elsewhere. To use every part of x, split
/// is cheaper.
[[nodiscard]] Variable slice(const Variable& x, int axis, std::int64_t begin, std::int64_t end);

/// Joins along `axis`; other sizes must agree.
[[nodiscard]] Variable concat(const std::vector<Variable>& parts, int axis);

}  // namespace clausius
