// SPDX-License-Identifier: Apache-2.0
// Writes one JSON object on one line: what metrics.jsonl and --json outputs are made of.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace clausius {

/// Keys appear in the order they are added. Numbers have the fewest digits that read back to the same double; NaN and infinities become
/// null and their top-level keys are listed under `nonfinite`. Texts are UTF-8; bytes that are not become U+FFFD.
class JsonLine {
 public:
  void number(std::string_view key, double value);
  void integer(std::string_view key, std::int64_t value);
  void boolean(std::string_view key, bool value);
  void text(std::string_view key, std::string_view value);
  void texts(std::string_view key, std::span<const std::string> values);
  void numbers(std::string_view key, std::span<const double> values);
  /// A list of lists; an empty inner list is written as null.
  void table(std::string_view key, const std::vector<std::vector<double>>& rows);
  /// {name: value, ..}
  void map(std::string_view key, std::span<const std::pair<std::string, double>> entries);
  /// A value that is JSON already.
  void raw(std::string_view key, std::string_view json);

  /// The object, without a line end.
  [[nodiscard]] std::string str() const;

 private:
  void key(std::string_view name);
  void append_number(std::string_view name, double value);

  std::string body_;
  std::vector<std::string> nonfinite_;
};

/// A JSON string with its quotes.
[[nodiscard]] std::string json_quoted(std::string_view text);
/// The shortest form that reads back to the same double; "null" when it is not finite.
[[nodiscard]] std::string json_number(double value);

}  // namespace clausius
