// SPDX-License-Identifier: Apache-2.0
// Text that arrives in pieces of bytes, shown character by character.
#pragma once

#include <string>
#include <string_view>

namespace clausius {

/// Tokens may end inside a character: the bytes of an unfinished one are held back until it is whole. Bytes that cannot belong
/// to any character come out as U+FFFD, one for each longest wrong beginning, as Unicode recommends.
class Utf8Stream {
 public:
  /// The characters that are complete with these bytes.
  [[nodiscard]] std::string push(std::string_view bytes);
  /// What is left when no more bytes come.
  [[nodiscard]] std::string finish();

 private:
  std::string held_;
};

/// The whole text at once: what is no character becomes U+FFFD.
[[nodiscard]] std::string well_formed_utf8(std::string_view bytes);

}  // namespace clausius
