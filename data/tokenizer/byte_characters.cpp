// SPDX-License-Identifier: Apache-2.0
// The byte-to-character map of byte-level tokenizers.
#include "data/tokenizer/byte_characters.h"

namespace clausius {
namespace {

constexpr bool stands_for_itself(unsigned int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

}  // namespace

std::string byte_character(unsigned char byte) {
  unsigned int code = byte;
  if (!stands_for_itself(byte)) {
    code = 0x100;
    for (unsigned int smaller = 0; smaller < byte; ++smaller) {
      code += stands_for_itself(smaller) ? 0U : 1U;
    }
  }
  if (code < 0x80) {
    return {static_cast<char>(code)};
  }
  return {static_cast<char>(0xC0U | (code >> 6)), static_cast<char>(0x80U | (code & 0x3FU))};
}

}  // namespace clausius
