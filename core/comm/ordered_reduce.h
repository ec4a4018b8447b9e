// SPDX-License-Identifier: Apache-2.0
// The arithmetic of our own reductions: the ranks' values of each element, combined in a fixed
// order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "core/comm/communicator.h"
#include "core/dtype.h"

namespace clausius::detail {

/// The one formula of every device. Integer sums wrap; NaN wins kMax and kMin.
template <class T>
[[nodiscard]] constexpr T combine(T a, T b, ReduceOp op) {
  if (op == ReduceOp::kSum) {
    if constexpr (std::is_integral_v<T>) {
      using Unsigned = std::make_unsigned_t<T>;
      return static_cast<T>(static_cast<Unsigned>(a) + static_cast<Unsigned>(b));
    } else {
      return a + b;
    }
  }
  return (op == ReduceOp::kMax ? b > a : b < a) || b != b ? b : a;
}

/// Combines blocks[r * n + i], r = 0 .. ranks - 1, into element i of blocks 0: r in the order asked
/// for, in the element's own type (f32 sums in f32). The blocks behind the first are overwritten.
/// Errors: DtypeError for types other than f32, f64, i32, i64.
void reduce_blocks(
    std::byte* blocks, int ranks, std::int64_t n, Dtype dtype, ReduceOp op, ReductionOrder order);

/// Rounds to bf16 and back; `wide` and `narrow` have the same number of elements.
void narrow_to_bf16(std::span<const float> wide, std::span<bf16> narrow);
void widen_from_bf16(std::span<const bf16> narrow, std::span<float> wide);

}  // namespace clausius::detail
