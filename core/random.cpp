// SPDX-License-Identifier: Apache-2.0
// Philox by Random123; normals by Box-Muller in double.
#include "core/random.h"

#include <cmath>
#include <numbers>

#include <Random123/philox.h>

#include "core/parallel.h"

namespace clausius {

PhiloxBlock philox(const PhiloxBlock& counter, std::uint64_t key) {
  const r123::Philox4x32::ctr_type c = {{counter[0], counter[1], counter[2], counter[3]}};
  const r123::Philox4x32::key_type k = {
      {static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)}};
  const auto r = r123::Philox4x32{}(c, k);
  return {r[0], r[1], r[2], r[3]};
}

std::uint32_t stream_of(std::string_view name) {
  std::uint32_t hash = 2166136261U;
  for (const char c : name) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  }
  hash ^= hash >> 16;
  hash *= 0x85ebca6bU;
  hash ^= hash >> 13;
  hash *= 0xc2b2ae35U;
  return hash ^ (hash >> 16);
}

namespace {

// Upper 64 bits of the 128-bit product.
std::uint64_t multiply_high(std::uint64_t a, std::uint64_t b) {
  const std::uint64_t a_low = a & 0xffffffffU;
  const std::uint64_t a_high = a >> 32;
  const std::uint64_t b_low = b & 0xffffffffU;
  const std::uint64_t b_high = b >> 32;
  const std::uint64_t middle = a_high * b_low + ((a_low * b_low) >> 32);
  return a_high * b_high + (middle >> 32) + ((a_low * b_high + (middle & 0xffffffffU)) >> 32);
}

}  // namespace

std::uint64_t RandomStream::below(std::uint64_t n, std::uint32_t i) const {
  const PhiloxBlock words = block(i / 2);
  const std::size_t first = i % 2 == 0 ? 0 : 2;
  const std::uint64_t bits = (std::uint64_t{words[first]} << 32) | words[first + 1];
  return multiply_high(bits, n);
}

namespace {

constexpr std::int64_t kGrain = 1 << 14;

// Two values a block of four words: each takes 53 bits, so f32 and f64 tensors get the same numbers
// up to rounding.
template <class T, class Pair>
void fill_pairs(Tensor& tensor, const RandomStream& stream, const Pair& pair) {
  const std::span<T> values = tensor.span<T>();
  const auto n = static_cast<std::int64_t>(values.size());
  parallel_for(div_ceil<std::int64_t>(n, 2), kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const PhiloxBlock words = stream.block(narrow<std::uint32_t>(i));
      const auto [first, second] =
          pair(uniform_f64(words[0], words[1]), uniform_f64(words[2], words[3]));
      values[static_cast<std::size_t>(2 * i)] = static_cast<T>(first);
      if (2 * i + 1 < n) {
        values[static_cast<std::size_t>(2 * i + 1)] = static_cast<T>(second);
      }
    }
  });
}

template <class Pair>
void fill_typed(Tensor& tensor, const RandomStream& stream, const Pair& pair) {
  if (tensor.dtype() == Dtype::kF64) {
    fill_pairs<double>(tensor, stream, pair);
  } else {
    fill_pairs<float>(tensor, stream, pair);
  }
}

}  // namespace

void fill_normal(Tensor& tensor, const RandomStream& stream, double mean, double std) {
  fill_typed(tensor, stream, [&](double u, double v) {
    const double radius = std * std::sqrt(-2.0 * std::log1p(-u));
    const double angle = 2.0 * std::numbers::pi * v;
    return std::pair(mean + radius * std::cos(angle), mean + radius * std::sin(angle));
  });
}

void fill_uniform(Tensor& tensor, const RandomStream& stream, double low, double high) {
  fill_typed(tensor, stream, [&](double u, double v) {
    return std::pair(low + (high - low) * u, low + (high - low) * v);
  });
}

}  // namespace clausius
