// SPDX-License-Identifier: Apache-2.0
// The arithmetic of ordered_reduce.h on a GPU, on the stream that is named.
#pragma once

#include <cstdint>
#include <cuda_runtime.h>

#include "core/comm/communicator.h"

namespace clausius::detail {

/// Ranks' versions of n elements, one block after the other, `step` elements apart.
struct DeviceBlocks {
  const void* data = nullptr;
  Dtype dtype = Dtype::kF32;
  int ranks = 1;
  std::int64_t step = 0;
};

/// out[i] = the blocks' elements i, combined in the order given. bf16 blocks are added in f32 into an f32 `out`; all other blocks
/// have out's type. Errors: DtypeError for types that cannot be reduced.
void reduce_blocks(const DeviceBlocks& blocks,
                   std::int64_t n,
                   ReduceOp op,
                   ReductionOrder order,
                   void* out,
                   cudaStream_t stream);

void narrow_to_bf16(const float* wide, bf16* narrow, std::int64_t n, cudaStream_t stream);
void widen_from_bf16(const bf16* narrow, float* wide, std::int64_t n, cudaStream_t stream);

}  // namespace clausius::detail
