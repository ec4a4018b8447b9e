// SPDX-License-Identifier: Apache-2.0
// What the attention kernels of Hopper's tensor cores share: two warpgroups that take turns.
#pragma once

#include "core/cuda/wgmma.cuh"
#include "core/ops/attention/attention_mma.cuh"

namespace clausius::ops::attention_cuda {

/// A block is two warpgroups of 64 rows each. While the products of one run on the tensor cores, the other makes its scores
/// probabilities or gradients; then they change places.
inline constexpr int kTurnRows = 128;
inline constexpr int kTurnThreads = 2 * static_cast<int>(cuda::kWarpgroup);

__device__ inline int tiles_of(int begin, int end, int width) {
  return end > begin ? (end - begin + width - 1) / width : 0;
}

/// All threads of a block, from whichever line they come.
__device__ inline void end_turn() {
  __syncthreads();
}

/// Takes a warpgroup through the tiles that pass the block. In turn 2 t + group it begins the scores of tile t beside the product of
/// tile t - 1 with its second operand: turn.begin_scores(0), .begin(t), .begin_last(tiles). In the turn after it waits for them,
/// .wait(), and computes on the scores, .compute(t). Group 0 copies, turn.fill(t), in turn 2 t - 2 what turn 2 t reads; the caller has
/// filled tile 0. Products that began in the turn before may still run then, so a buffer is free when no turn since 2 t - 3 reads it.
template <class Turn>
__device__ void take_turns(int group, int tiles, Turn& turn) {
  cuda::wait_copies<0>();
  cuda::publish_to_products();
  end_turn();
  if (tiles == 0) {
    return;
  }
  if (group == 1) {
    end_turn();
  }
  // What has begun ends in straight lines: the compiler overlaps no products over the end of a loop.
  const auto change_places = [&](int tile) {
    if (group == 0 && tile + 1 < tiles) {
      turn.fill(tile + 1);
    }
    end_turn();
    turn.wait();
    turn.compute(tile);
    cuda::wait_copies<0>();
    cuda::publish_to_products();
    end_turn();
  };
  turn.begin_scores(0);
  change_places(0);
  for (int tile = 1; tile < tiles; ++tile) {
    turn.begin(tile);
    change_places(tile);
  }
  turn.begin_last(tiles);
  turn.wait();
  if (group == 0) {
    end_turn();
  }
}

}  // namespace clausius::ops::attention_cuda
