// SPDX-License-Identifier: Apache-2.0
// A scanner of the outermost level of a JSON object.
#include "train/web/metric_line.h"

#include <charconv>
#include <limits>

#include "core/error.h"
#include "core/io/json.h"

namespace clausius::web {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Walks over an object's members without building values. After a mistake in the text `ok` is false and every call does nothing.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool at_end() const { return place_ == text_.size(); }

  // True, and past it, when the next character is this one.
  bool take(char wanted) {
    skip_blanks();
    if (ok_ && place_ < text_.size() && text_[place_] == wanted) {
      ++place_;
      return true;
    }
    return false;
  }

  void expect(char wanted) { ok_ = take(wanted) && ok_; }

  // The text of the value that starts here.
  std::string_view value() {
    skip_blanks();
    const std::size_t begin = place_;
    if (!ok_ || begin == text_.size()) {
      ok_ = false;
      return {};
    }
    depth_ = 0;
    if (text_[begin] == '"') {
      skip_string();
    } else if (text_[begin] == '[' || text_[begin] == '{') {
      skip_brackets();
    } else {
      place_ = std::min(text_.find_first_of(",]} \t\r\n", begin), text_.size());
      ok_ = place_ > begin;
    }
    return text_.substr(begin, place_ - begin);
  }

  // Levels of brackets in the last value.
  [[nodiscard]] int depth() const { return depth_; }

  void skip_blanks() {
    while (place_ < text_.size() && (text_[place_] == ' ' || text_[place_] == '\t' ||
                                     text_[place_] == '\r' || text_[place_] == '\n')) {
      ++place_;
    }
  }

 private:
  void skip_string() {
    for (++place_; place_ < text_.size(); ++place_) {
      if (text_[place_] == '\\') {
        ++place_;
      } else if (text_[place_] == '"') {
        ++place_;
        return;
      }
    }
    ok_ = false;
    place_ = text_.size();
  }

  void skip_brackets() {
    int open = 0;
    while (place_ < text_.size()) {
      const char c = text_[place_];
      if (c == '"') {
        skip_string();
        continue;
      }
      ++place_;
      if (c == '[' || c == '{') {
        depth_ = std::max(depth_, ++open);
      } else if ((c == ']' || c == '}') && --open == 0) {
        return;
      }
    }
    ok_ = false;
  }

  std::string_view text_;
  std::size_t place_ = 0;
  int depth_ = 0;
  bool ok_ = true;
};

std::optional<double> to_number(std::string_view text) {
  double value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text == "null") {
    return kNan;
  }
  return result.ec == std::errc() && result.ptr == text.data() + text.size() ? std::optional(value)
                                                                             : std::nullopt;
}

double number_of(const Json& value) {
  return value.is_number() ? value.number() : kNan;
}

std::string text_of(std::string_view value) {
  const Json parsed = Json::parse(value, "metrics");
  return parsed.is_text() ? parsed.text() : std::string();
}

void add_list(MetricLine& line, const std::string& key, const Json& list) {
  for (std::size_t i = 0; i < list.array().size(); ++i) {
    const Json& element = list.array()[i];
    if (key == "alarms" && element.is_text()) {
      line.alarms.push_back(element.text());
    } else if (element.is_number() || element.is_null()) {
      line.numbers.emplace_back(concat(key, ".", i), number_of(element));
    }
  }
}

void add_member(MetricLine& line, const std::string& key, std::string_view value, int depth) {
  if (const std::optional<double> number = to_number(value)) {
    line.numbers.emplace_back(key, *number);
  } else if (value.front() == '[' && depth > 1) {
    line.tables.emplace_back(key, value);
  } else if (value.front() == '[') {
    add_list(line, key, Json::parse(value, "metrics"));
  } else if (value.front() == '{') {
    const Json members = Json::parse(value, "metrics");
    for (const auto& [name, member] : members.object()) {
      if (member.is_number() || member.is_null()) {
        line.numbers.emplace_back(key + "." + name, number_of(member));
      }
    }
  } else if (key == "event") {
    line.event = text_of(value);
  } else if (key == "message") {
    line.message = text_of(value);
  }
}

std::optional<MetricLine> scan(std::string_view text) {
  Scanner scanner(text);
  MetricLine line;
  bool has_step = false;
  scanner.expect('{');
  bool more = !scanner.take('}');
  while (scanner.ok() && more) {
    const std::string_view quoted = scanner.value();
    scanner.expect(':');
    const std::string_view value = scanner.value();
    if (!scanner.ok() || quoted.front() != '"') {
      return std::nullopt;
    }
    const std::string key(quoted.substr(1, quoted.size() - 2));
    if (key == "step") {
      const auto result = std::from_chars(value.data(), value.data() + value.size(), line.step);
      has_step = result.ec == std::errc() && result.ptr == value.data() + value.size();
    } else {
      add_member(line, key, value, scanner.depth());
    }
    more = scanner.take(',');
    if (!more) {
      scanner.expect('}');
    }
  }
  scanner.skip_blanks();
  return scanner.ok() && scanner.at_end() && has_step ? std::optional(std::move(line))
                                                      : std::nullopt;
}

}  // namespace

double MetricLine::number(std::string_view name) const {
  for (const auto& [key, value] : numbers) {
    if (key == name) {
      return value;
    }
  }
  return kNan;
}

std::optional<MetricLine> read_metric_line(std::string_view line) {
  try {
    return scan(line);
  } catch (const DataError&) {  // a small value inside that is no JSON
    return std::nullopt;
  }
}

}  // namespace clausius::web
