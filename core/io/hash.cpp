// SPDX-License-Identifier: Apache-2.0
// XXH3 through libxxhash.
#include "core/io/hash.h"

#include <xxhash.h>

#include "core/error.h"

namespace clausius {
std::string Hash128::hex() const {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text(32, '0');
  for (std::size_t digit = 0; digit < 16; ++digit) {
    const std::size_t shift = 60 - 4 * digit;
    text[digit] = kDigits[(high >> shift) & 15U];
    text[16 + digit] = kDigits[(low >> shift) & 15U];
  }
  return text;
}

std::uint64_t xxh3_64(std::span<const std::byte> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

std::uint64_t xxh3_64(std::string_view text) {
  return xxh3_64(std::as_bytes(std::span(text)));
}

Hash128 xxh3_128(std::span<const std::byte> bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return {.high = hash.high64, .low = hash.low64};
}

Hash128 xxh3_128(std::string_view text) {
  return xxh3_128(std::as_bytes(std::span(text)));
}

struct Hasher::State {
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> xxh3{XXH3_createState()};
};

Hasher::Hasher() : state_(std::make_unique<State>()) {
  CLS_CHECK(state_->xxh3 != nullptr, MemoryError, "out of memory for a hash state");
  XXH3_128bits_reset(state_->xxh3.get());
}

Hasher::~Hasher() = default;

void Hasher::update(std::span<const std::byte> bytes) {
  XXH3_128bits_update(state_->xxh3.get(), bytes.data(), bytes.size());
}

Hash128 Hasher::digest() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(state_->xxh3.get());
  return {.high = hash.high64, .low = hash.low64};
}

}  // namespace clausius
