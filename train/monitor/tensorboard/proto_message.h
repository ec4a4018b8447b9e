// SPDX-License-Identifier: Apache-2.0
// The protobuf wire format, as far as event files need it: a message is the fields written to it, in order.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace clausius {

/// Every field given is written, also one that has its default value. Strings must be UTF-8.
/// Source:  protobuf.dev, "Encoding".
class ProtoMessage {
 public:
  /// int32, int64, bool or enum; a negative number takes ten bytes.
  ProtoMessage& integer(int field, std::int64_t value);
  ProtoMessage& real(int field, double value);             // double
  ProtoMessage& real32(int field, float value);            // float
  ProtoMessage& bytes(int field, std::string_view value);  // bytes or string
  ProtoMessage& message(int field, const ProtoMessage& value);
  /// repeated double, packed.
  ProtoMessage& reals(int field, std::span<const double> values);

  [[nodiscard]] const std::string& encoded() const { return encoded_; }

 private:
  std::string encoded_;
};

}  // namespace clausius
