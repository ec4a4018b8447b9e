// SPDX-License-Identifier: Apache-2.0
// base64, read back.
#pragma once

#include <string>
#include <string_view>

namespace clausius::test {

/// The bytes of a text without errors.
inline std::string from_base64(std::string_view text) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  unsigned buffer = 0;
  unsigned bits = 0;
  for (const char c : text.substr(0, text.find('='))) {
    buffer = buffer << 6U | static_cast<unsigned>(kDigits.find(c));
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes += static_cast<char>(buffer >> bits & 255U);
    }
  }
  return bytes;
}

}  // namespace clausius::test
