// SPDX-License-Identifier: Apache-2.0
// Varints, little-endian words, and runs of bytes behind their length.
#include "train/monitor/tensorboard/proto_message.h"

#include <bit>

#include "train/monitor/tensorboard/little_endian.h"

namespace clausius {
namespace {

enum class Wire : std::uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

// Seven bits a byte, lowest first; the top bit says that more follow.
void append_varint(std::string& bytes, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) {
    bytes.push_back(static_cast<char>(static_cast<unsigned char>(value | 0x80)));
  }
  bytes.push_back(static_cast<char>(value));
}

void append_key(std::string& bytes, int field, Wire wire) {
  append_varint(bytes, static_cast<std::uint64_t>(field) << 3 | static_cast<std::uint64_t>(wire));
}

}  // namespace

ProtoMessage& ProtoMessage::integer(int field, std::int64_t value) {
  append_key(encoded_, field, Wire::kVarint);
  append_varint(encoded_, static_cast<std::uint64_t>(value));
  return *this;
}

ProtoMessage& ProtoMessage::real(int field, double value) {
  append_key(encoded_, field, Wire::kFixed64);
  append_little_endian(encoded_, std::bit_cast<std::uint64_t>(value));
  return *this;
}

ProtoMessage& ProtoMessage::real32(int field, float value) {
  append_key(encoded_, field, Wire::kFixed32);
  append_little_endian(encoded_, std::bit_cast<std::uint32_t>(value));
  return *this;
}

ProtoMessage& ProtoMessage::bytes(int field, std::string_view value) {
  append_key(encoded_, field, Wire::kBytes);
  append_varint(encoded_, value.size());
  encoded_.append(value);
  return *this;
}

ProtoMessage& ProtoMessage::message(int field, const ProtoMessage& value) {
  return bytes(field, value.encoded());
}

ProtoMessage& ProtoMessage::reals(int field, std::span<const double> values) {
  std::string packed;
  for (const double value : values) {
    append_little_endian(packed, std::bit_cast<std::uint64_t>(value));
  }
  return bytes(field, packed);
}

}  // namespace clausius
