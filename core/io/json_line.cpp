// SPDX-License-Identifier: Apache-2.0
// Serialisation of flat JSON objects.
#include "core/io/json_line.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

namespace clausius {
namespace {

// Length of the UTF-8 sequence that starts at `text[i]`, 0 when the bytes are no valid sequence.
std::size_t sequence_length(std::string_view text, std::size_t i) {
  const auto byte = [&](std::size_t k) { return static_cast<unsigned char>(text[i + k]); };
  const unsigned first = byte(0);
  const std::size_t length = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
  if (length == 0 || i + length > text.size()) {
    return 0;
  }
  for (std::size_t k = 1; k < length; ++k) {
    if ((byte(k) & 0xC0U) != 0x80U) {
      return 0;
    }
  }
  // Overlong forms, surrogates, and values above U+10FFFF.
  const bool bad = length > 2 && ((first == 0xE0 && byte(1) < 0xA0) || (first == 0xED && byte(1) >= 0xA0) ||
                                  (first == 0xF0 && byte(1) < 0x90) || (first == 0xF4 && byte(1) >= 0x90));
  return bad ? 0 : length;
}

}  // namespace

std::string json_quoted(std::string_view text) {
  std::string quoted = "\"";
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = sequence_length(text, i);
    const auto c = static_cast<unsigned char>(text[i]);
    if (length == 0) {
      quoted += "\xEF\xBF\xBD";
    } else if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += text[i];
    } else if (c == '\n') {
      quoted += "\\n";
    } else if (c < 0x20) {
      quoted += fmt::format("\\u{:04x}", c);
    } else {
      quoted.append(text.substr(i, length));
    }
    i += std::max<std::size_t>(length, 1);
  }
  return quoted + '"';
}

std::string json_number(double value) {
  if (!std::isfinite(value)) {
    return "null";
  }
  std::array<char, 32> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  return {buffer.data(), end};
}

void JsonLine::key(std::string_view name) {
  body_ += body_.empty() ? "" : ", ";
  body_ += json_quoted(name);
  body_ += ": ";
}

void JsonLine::append_number(std::string_view name, double value) {
  if (!std::isfinite(value) && (nonfinite_.empty() || nonfinite_.back() != name)) {
    nonfinite_.emplace_back(name);
  }
  body_ += json_number(value);
}

void JsonLine::number(std::string_view name, double value) {
  key(name);
  append_number(name, value);
}

void JsonLine::integer(std::string_view name, std::int64_t value) {
  key(name);
  body_ += std::to_string(value);
}

void JsonLine::boolean(std::string_view name, bool value) {
  key(name);
  body_ += value ? "true" : "false";
}

void JsonLine::text(std::string_view name, std::string_view value) {
  key(name);
  body_ += json_quoted(value);
}

void JsonLine::texts(std::string_view name, std::span<const std::string> values) {
  key(name);
  body_ += '[';
  for (std::size_t i = 0; i < values.size(); ++i) {
    body_ += (i == 0 ? "" : ", ") + json_quoted(values[i]);
  }
  body_ += ']';
}

void JsonLine::numbers(std::string_view name, std::span<const double> values) {
  key(name);
  body_ += '[';
  for (std::size_t i = 0; i < values.size(); ++i) {
    body_ += i == 0 ? "" : ", ";
    append_number(name, values[i]);
  }
  body_ += ']';
}

void JsonLine::table(std::string_view name, const std::vector<std::vector<double>>& rows) {
  key(name);
  body_ += '[';
  for (std::size_t r = 0; r < rows.size(); ++r) {
    body_ += r == 0 ? "" : ", ";
    if (rows[r].empty()) {
      body_ += "null";
      continue;
    }
    body_ += '[';
    for (std::size_t i = 0; i < rows[r].size(); ++i) {
      body_ += i == 0 ? "" : ", ";
      append_number(name, rows[r][i]);
    }
    body_ += ']';
  }
  body_ += ']';
}

void JsonLine::map(std::string_view name, std::span<const std::pair<std::string, double>> entries) {
  key(name);
  body_ += '{';
  for (std::size_t i = 0; i < entries.size(); ++i) {
    body_ += (i == 0 ? "" : ", ") + json_quoted(entries[i].first) + ": ";
    append_number(name, entries[i].second);
  }
  body_ += '}';
}

void JsonLine::raw(std::string_view name, std::string_view json) {
  key(name);
  body_ += json;
}

std::string JsonLine::str() const {
  std::string object = "{" + body_;
  if (!nonfinite_.empty()) {
    object += body_.empty() ? "" : ", ";
    object += "\"nonfinite\": [";
    for (std::size_t i = 0; i < nonfinite_.size(); ++i) {
      object += (i == 0 ? "" : ", ") + json_quoted(nonfinite_[i]);
    }
    object += ']';
  }
  return object + '}';
}

}  // namespace clausius
