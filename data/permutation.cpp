// SPDX-License-Identifier: Apache-2.0
// The Feistel network behind a shuffled epoch.
#include "data/permutation.h"

#include <bit>

#include "core/error.h"

namespace clausius {
namespace {

constexpr std::uint32_t kRounds = 8;

constexpr std::uint64_t mask_of(int bits) {
  return (std::uint64_t{1} << bits) - 1;
}

}  // namespace

Permutation::Permutation(std::int64_t size, const RandomStream& stream)
    : size_(static_cast<std::uint64_t>(size)), stream_(stream) {
  CLS_CHECK(size >= 1 && size <= (std::int64_t{1} << 62), InternalError, "a permutation of ", size,
            " items");
  const auto bits = static_cast<int>(std::bit_width(size_ - 1));
  low_bits_ = (bits + 1) / 2;
  high_bits_ = bits / 2;
}

std::uint64_t Permutation::walk(std::uint64_t value) const {
  std::uint64_t low = value & mask_of(low_bits_);
  std::uint64_t high = value >> low_bits_;
  RandomStream round = stream_;
  for (round.sample = 0; round.sample < kRounds; round.sample += 2) {
    high ^= round.block(static_cast<std::uint32_t>(low))[0] & mask_of(high_bits_);
    RandomStream second = round;
    ++second.sample;
    low ^= second.block(static_cast<std::uint32_t>(high))[0] & mask_of(low_bits_);
  }
  return (high << low_bits_) | low;
}

std::int64_t Permutation::operator()(std::int64_t index) const {
  CLS_ASSERT(index >= 0 && index < size());
  // Following the cycle of a point inside [0, size) always returns there, so the walk ends and stays a bijection.
  auto value = static_cast<std::uint64_t>(index);
  do {
    value = walk(value);
  } while (value >= size_);
  return static_cast<std::int64_t>(value);
}

}  // namespace clausius
