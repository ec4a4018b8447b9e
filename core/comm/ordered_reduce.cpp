// SPDX-License-Identifier: Apache-2.0
// Rank-ordered and tree-ordered reductions of blocks.
#include "core/comm/ordered_reduce.h"

#include <algorithm>

#include "core/error.h"

namespace clausius::detail {
namespace {

// target[i] = combine(target[i], source[i])
template <class T>
void combine_into(T* target, const T* source, std::int64_t n, ReduceOp op) {
  if (op == ReduceOp::kSum) {
    for (std::int64_t i = 0; i < n; ++i) {
      target[i] = combine(target[i], source[i], ReduceOp::kSum);
    }
    return;
  }
  for (std::int64_t i = 0; i < n; ++i) {
    target[i] = combine(target[i], source[i], op);
  }
}

template <class T>
void reduce_typed(T* blocks, int ranks, std::int64_t n, ReduceOp op, ReductionOrder order) {
  constexpr std::int64_t kStretch =
      4096;  // elements that stay in the first cache while all ranks are added
  for (std::int64_t begin = 0; begin < n; begin += kStretch) {
    const std::int64_t count = std::min(kStretch, n - begin);
    const auto block = [&](int rank) { return blocks + rank * n + begin; };
    if (order != ReductionOrder::kTree) {
      for (int rank = 1; rank < ranks; ++rank) {
        combine_into(block(0), block(rank), count, op);
      }
      continue;
    }
    for (int distance = 1; distance < ranks; distance *= 2) {
      for (int rank = 0; rank + distance < ranks; rank += 2 * distance) {
        combine_into(block(rank), block(rank + distance), count, op);
      }
    }
  }
}

}  // namespace

void reduce_blocks(
    std::byte* blocks, int ranks, std::int64_t n, Dtype dtype, ReduceOp op, ReductionOrder order) {
  switch (dtype) {
    case Dtype::kF32:
      return reduce_typed(reinterpret_cast<float*>(blocks), ranks, n, op, order);
    case Dtype::kF64:
      return reduce_typed(reinterpret_cast<double*>(blocks), ranks, n, op, order);
    case Dtype::kI64:
      return reduce_typed(reinterpret_cast<std::int64_t*>(blocks), ranks, n, op, order);
    case Dtype::kI32:
      return reduce_typed(reinterpret_cast<std::int32_t*>(blocks), ranks, n, op, order);
    default:
      throw DtypeError(
          concat("cannot reduce ", dtype, " between ranks; expected f32, f64, i32 or i64"));
  }
}

void narrow_to_bf16(std::span<const float> wide, std::span<bf16> narrow) {
  CLS_ASSERT(wide.size() == narrow.size());
  for (std::size_t i = 0; i < wide.size(); ++i) {
    narrow[i] = bf16(wide[i]);
  }
}

void widen_from_bf16(std::span<const bf16> narrow, std::span<float> wide) {
  CLS_ASSERT(wide.size() == narrow.size());
  for (std::size_t i = 0; i < wide.size(); ++i) {
    wide[i] = static_cast<float>(narrow[i]);
  }
}

}  // namespace clausius::detail
