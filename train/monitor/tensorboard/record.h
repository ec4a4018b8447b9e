// SPDX-License-Identifier: Apache-2.0
// Records of event files: a length and data, each behind a checksum.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace clausius {

/// CRC-32C (Castagnoli): reflected polynomial 0x82f63b78, start and final xor all ones.
[[nodiscard]] std::uint32_t crc32c(std::string_view bytes);

/// The checksum as records hold it: rotated and shifted, so that the CRC of data with their CRC inside stays meaningful.
[[nodiscard]] std::uint32_t masked_crc32c(std::string_view bytes);

/// u64 length, masked CRC of those eight bytes, data, masked CRC of the data; all little-endian (the TFRecord format).
[[nodiscard]] std::string framed_record(std::string_view data);

}  // namespace clausius
