// SPDX-License-Identifier: Apache-2.0
// The words of attention dropout on the device: Philox 4x32-10, equal to core/random.h.
#pragma once

#include <cstdint>

#include "core/cuda/launch.cuh"
#include "core/ops/attention/attention_dropout.h"

namespace clausius::ops::attention_cuda {

struct Words {
  unsigned value[4];
};

__device__ inline Words philox_words(unsigned block, unsigned sample, const RandomStream& stream) {
  unsigned c0 = block;
  unsigned c1 = sample;
  unsigned c2 = stream.step;
  unsigned c3 = stream.stream;
  auto k0 = static_cast<unsigned>(stream.seed);
  auto k1 = static_cast<unsigned>(stream.seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const unsigned high0 = __umulhi(0xD2511F53U, c0);
    const unsigned low0 = 0xD2511F53U * c0;
    const unsigned high1 = __umulhi(0xCD9E8D57U, c2);
    const unsigned low1 = 0xCD9E8D57U * c2;
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 += 0x9E3779B9U;
    k1 += 0xBB67AE85U;
  }
  return {{c0, c1, c2, c3}};
}

/// What a kernel needs to draw; threshold 0: nothing is dropped.
struct Dropout {
  RandomStream stream;
  const std::int64_t* samples = nullptr;  // [B]
  std::int64_t blocks_per_row = 0;
  std::int64_t T = 0;
  unsigned threshold = 0;
  bool active = false;
  float kept = 1.0F;  // 1 / (1 - dropout)

  explicit Dropout(const AttentionProblem& p) {
    if (p.dropout > 0) {
      stream = p.dropout_stream;
      samples = p.dropout_samples;
      blocks_per_row = dropout_blocks_per_row(p.S);
      T = p.T;
      threshold = dropout_threshold(p.dropout);
      active = true;
      kept = static_cast<float>(1 / (1 - p.dropout));
    }
  }

  /// Words of keys 4 (key / 4) .. 4 (key / 4) + 3 of row (b, h, i).
  __device__ Words words(std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t key) const {
    const auto block = static_cast<unsigned>((h * T + i) * blocks_per_row + key / 4);
    return philox_words(block, static_cast<unsigned>(samples[b]), stream);
  }
  __device__ float factor(unsigned word) const { return word < threshold ? 0.0F : kept; }
};

}  // namespace clausius::ops::attention_cuda
