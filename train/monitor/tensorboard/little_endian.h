// SPDX-License-Identifier: Apache-2.0
// Unsigned integers as bytes, lowest first, on any machine.
#pragma once

#include <concepts>
#include <cstddef>
#include <string>

namespace clausius {

template <std::unsigned_integral T>
void append_little_endian(std::string& bytes, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    bytes.push_back(static_cast<char>(static_cast<unsigned char>(value >> (8 * i))));
  }
}

}  // namespace clausius
