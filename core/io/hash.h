// SPDX-License-Identifier: Apache-2.0
// XXH3 hashes: checksums of what lies in files and fingerprints of state. Not cryptographic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace clausius {

struct Hash128 {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend bool operator==(const Hash128&, const Hash128&) = default;
  /// 32 hexadecimal digits, as `xxhsum -H128` prints them.
  [[nodiscard]] std::string hex() const;
};

[[nodiscard]] std::uint64_t xxh3_64(std::span<const std::byte> bytes);
[[nodiscard]] std::uint64_t xxh3_64(std::string_view text);
[[nodiscard]] Hash128 xxh3_128(std::span<const std::byte> bytes);
[[nodiscard]] Hash128 xxh3_128(std::string_view text);

/// 128-bit XXH3 of bytes that arrive in pieces; the result is that of the pieces joined.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;

  void update(std::span<const std::byte> bytes);
  void update(std::string_view text) { update(std::as_bytes(std::span(text))); }
  [[nodiscard]] Hash128 digest() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace clausius
