// SPDX-License-Identifier: Apache-2.0
// The spelling of bytes in tokenizer.json: every byte as one printable character.
#pragma once

#include <string>

namespace clausius {

/// UTF-8 of the character that stands for a byte: printable Latin-1 bytes for themselves, the other 68 as U+0100 ..
/// U+0143 in byte order.
[[nodiscard]] std::string byte_character(unsigned char byte);

}  // namespace clausius
