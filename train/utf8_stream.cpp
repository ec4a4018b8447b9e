// SPDX-License-Identifier: Apache-2.0
// Well-formed UTF-8, table 3-7 of the Unicode standard.
#include "train/utf8_stream.h"

#include <cstddef>

namespace clausius {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

struct Lead {
  std::size_t length = 0;  // bytes of the character; 0: no character begins so
  unsigned char low = 0x80;
  unsigned char high = 0xBF;  // range of the second byte
};

Lead lead_of(unsigned char byte) {
  if (byte < 0x80) {
    return {.length = 1};
  }
  if (byte >= 0xC2 && byte <= 0xDF) {
    return {.length = 2};
  }
  if (byte >= 0xE0 && byte <= 0xEF) {
    return {.length = 3,
            .low = static_cast<unsigned char>(byte == 0xE0 ? 0xA0 : 0x80),
            .high = static_cast<unsigned char>(byte == 0xED ? 0x9F : 0xBF)};
  }
  if (byte >= 0xF0 && byte <= 0xF4) {
    return {.length = 4,
            .low = static_cast<unsigned char>(byte == 0xF0 ? 0x90 : 0x80),
            .high = static_cast<unsigned char>(byte == 0xF4 ? 0x8F : 0xBF)};
  }
  return {};
}

// How many bytes at the front belong together, and whether they are a whole character.
struct Scan {
  std::size_t bytes = 0;
  bool whole = false;
  bool may_go_on = false;
};

Scan scan(std::string_view text) {
  const Lead lead = lead_of(static_cast<unsigned char>(text[0]));
  if (lead.length == 0) {
    return {.bytes = 1};
  }
  std::size_t count = 1;
  while (count < lead.length && count < text.size()) {
    const auto byte = static_cast<unsigned char>(text[count]);
    const bool fits =
        count == 1 ? byte >= lead.low && byte <= lead.high : byte >= 0x80 && byte <= 0xBF;
    if (!fits) {
      return {.bytes = count};
    }
    ++count;
  }
  return {.bytes = count, .whole = count == lead.length, .may_go_on = count < lead.length};
}

}  // namespace

std::string Utf8Stream::push(std::string_view bytes) {
  held_ += bytes;
  std::string out;
  std::string_view rest = held_;
  while (!rest.empty()) {
    const Scan found = scan(rest);
    if (found.may_go_on) {
      break;
    }
    out += found.whole ? rest.substr(0, found.bytes) : kReplacement;
    rest.remove_prefix(found.bytes);
  }
  held_.erase(0, held_.size() - rest.size());
  return out;
}

std::string Utf8Stream::finish() {
  const bool left = !held_.empty();
  held_.clear();
  return left ? std::string(kReplacement) : std::string();
}

std::string well_formed_utf8(std::string_view bytes) {
  Utf8Stream stream;
  std::string text = stream.push(bytes);
  return text + stream.finish();
}

}  // namespace clausius
