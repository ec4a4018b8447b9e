// SPDX-License-Identifier: Apache-2.0
// Philox 4x32-10 on the device: the same words as core/random.h.
#pragma once

#include <cstdint>

#include "core/cuda/runs.cuh"
#include "core/random.h"

namespace clausius::cuda {

struct PhiloxWords {
  std::uint32_t word[4];
};

/// Words 4 i .. 4 i + 3 of the stream, with `sample` in place of its own.
__device__ inline PhiloxWords philox_block(const RandomStream& stream,
                                           std::uint32_t sample,
                                           std::uint32_t i) {
  std::uint32_t c0 = i;
  std::uint32_t c1 = sample;
  std::uint32_t c2 = stream.step;
  std::uint32_t c3 = stream.stream;
  auto key_low = static_cast<std::uint32_t>(stream.seed);
  auto key_high = static_cast<std::uint32_t>(stream.seed >> 32);
  CLS_UNROLL
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53U} * c0;
    const std::uint64_t p2 = std::uint64_t{0xCD9E8D57U} * c2;
    c0 = static_cast<std::uint32_t>(p2 >> 32) ^ c1 ^ key_low;
    c2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ key_high;
    c1 = static_cast<std::uint32_t>(p2);
    c3 = static_cast<std::uint32_t>(p0);
    key_low += 0x9E3779B9U;
    key_high += 0xBB67AE85U;
  }
  return {{c0, c1, c2, c3}};
}

}  // namespace clausius::cuda
