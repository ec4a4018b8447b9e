// SPDX-License-Identifier: Apache-2.0
// Keyed permutation of [0, n) that needs no memory: the shuffled order of an epoch.
#pragma once

#include <cstdint>

#include "core/random.h"

namespace clausius {

/// A bijection of [0, size): an alternating Feistel network over the next power of two, walked until it lands inside.
/// Value:   a pure function of (size, stream.seed, stream.stream, stream.step); `stream.sample` numbers the rounds.
/// Cost:    8 Philox blocks a walk, fewer than 2 walks on average; no memory.
/// Source:  Black & Rogaway 2002, "Ciphers with Arbitrary Finite Domains" (cycle walking).
class Permutation {
 public:
  /// Errors:  InternalError unless 1 <= size <= 2^62.
  Permutation(std::int64_t size, const RandomStream& stream);

  [[nodiscard]] std::int64_t size() const { return static_cast<std::int64_t>(size_); }
  [[nodiscard]] std::int64_t operator()(std::int64_t index) const;

 private:
  [[nodiscard]] std::uint64_t walk(std::uint64_t value) const;

  std::uint64_t size_;
  RandomStream stream_;
  int low_bits_ = 0;
  int high_bits_ = 0;
};

}  // namespace clausius
