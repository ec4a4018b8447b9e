// SPDX-License-Identifier: Apache-2.0
// Framing, and a CRC by table: a record a sampled step is too little to want more.
#include "train/monitor/tensorboard/record.h"

#include <array>
#include <bit>

#include "train/monitor/tensorboard/little_endian.h"

namespace clausius {
namespace {

constexpr std::array<std::uint32_t, 256> kCrcOfByte = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < table.size(); ++byte) {
    std::uint32_t rest = byte;
    for (int bit = 0; bit < 8; ++bit) {
      rest = (rest & 1U) != 0 ? rest >> 1 ^ 0x82f63b78U : rest >> 1;
    }
    table[byte] = rest;
  }
  return table;
}();

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  std::uint32_t crc = 0xffffffffU;
  for (const char byte : bytes) {
    crc = kCrcOfByte[(crc ^ static_cast<unsigned char>(byte)) & 0xffU] ^ crc >> 8;
  }
  return ~crc;
}

std::uint32_t masked_crc32c(std::string_view bytes) {
  return std::rotr(crc32c(bytes), 15) + 0xa282ead8U;
}

std::string framed_record(std::string_view data) {
  std::string record;
  record.reserve(data.size() + 16);
  append_little_endian(record, std::uint64_t{data.size()});
  append_little_endian(record, masked_crc32c(record));
  record.append(data);
  append_little_endian(record, masked_crc32c(data));
  return record;
}

}  // namespace clausius
