// SPDX-License-Identifier: Apache-2.0
// SplitMix64 and what is made of it.
#include "data/tasks/task_draws.h"

namespace clausius {
namespace {

constexpr std::uint64_t kIncrement = 0x9E3779B97F4A7C15;

// Source: Steele, Lea, Flood 2014, "Fast Splittable Pseudorandom Number Generators".
std::uint64_t mix64(std::uint64_t value) {
  value += kIncrement;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
  return value ^ (value >> 31);
}

// Upper half of the 128-bit product.
std::uint64_t multiply_high(std::uint64_t a, std::uint64_t b) {
  constexpr std::uint64_t kLow = 0xFFFFFFFF;
  const std::uint64_t low = (a & kLow) * (b & kLow);
  const std::uint64_t left = (a >> 32) * (b & kLow) + (low >> 32);
  const std::uint64_t right = (a & kLow) * (b >> 32) + (left & kLow);
  return (a >> 32) * (b >> 32) + (left >> 32) + (right >> 32);
}

}  // namespace

TaskDraws::TaskDraws(std::uint64_t seed, TaskSplit split, std::int64_t sample)
    : state_(mix64(mix64(seed) ^ ((static_cast<std::uint64_t>(split) << 48) |
                                  static_cast<std::uint64_t>(sample)))) {}

std::uint64_t TaskDraws::u64() {
  const std::uint64_t value = mix64(state_);
  state_ += kIncrement;
  return value;
}

std::int64_t TaskDraws::below(std::int64_t n) {
  return static_cast<std::int64_t>(multiply_high(u64(), static_cast<std::uint64_t>(n)));
}

double TaskDraws::uniform() {
  return static_cast<double>(u64() >> 11) * 0x1p-53;
}

}  // namespace clausius
