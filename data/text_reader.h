// SPDX-License-Identifier: Apache-2.0
// Reads text files as documents, in pieces, with bounded memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "core/config.h"

namespace clausius {

/// kAuto: jsonl by the file's ending (.jsonl, .ndjson), else plain.
enum class TextFormat : std::uint8_t { kAuto, kPlain, kJsonl };
constexpr auto words_of(TextFormat /*unused*/) {
  return words("auto", "plain", "jsonl");
}

/// What one document is in plain text. kBlankLine: lines between blank lines; kLine: a line. The line break that ends
/// a document is not part of it.
enum class DocumentRule : std::uint8_t { kFile, kBlankLine, kLine };
constexpr auto words_of(DocumentRule /*unused*/) {
  return words("file", "blank_line", "line");
}

struct TextRules {
  TextFormat format = TextFormat::kAuto;
  DocumentRule documents = DocumentRule::kFile;
  /// The member of a jsonl object that holds the text.
  std::string text_key = "text";
};

/// Receives documents: any number of pieces each, then the end.
class DocumentSink {
 public:
  virtual ~DocumentSink() = default;
  virtual void text(std::string_view piece) = 0;
  virtual void end_document() = 0;
};

/// Reads one file to its end. Bytes are passed on unchanged, valid UTF-8 or not.
/// Errors:  IoError when it cannot be read; DataError naming file, line and what was expected (jsonl), or a
///          compressed file.
/// Cost:    1 MiB, or the longest line where lines matter.
void read_documents(const std::filesystem::path& file, const TextRules& rules, DocumentSink& sink);

}  // namespace clausius
