// SPDX-License-Identifier: Apache-2.0
// SHA-256, so that a tokenizer's identity can be checked with sha256sum.
#pragma once

#include <string>
#include <string_view>

namespace clausius {

/// Lower-case hexadecimal digest of the bytes.
/// Source:  FIPS 180-4.
[[nodiscard]] std::string sha256_hex(std::string_view bytes);

}  // namespace clausius
