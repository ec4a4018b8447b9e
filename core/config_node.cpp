// SPDX-License-Identifier: Apache-2.0
// The untyped recipe tree: scalar types, locations, and the words of messages about it.
#include "core/config_node.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace clausius {
namespace {

bool all_of_class(std::string_view text, bool (*belongs)(char)) {
  return !text.empty() && std::all_of(text.begin(), text.end(), belongs);
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_octal(char c) {
  return c >= '0' && c <= '7';
}
bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

std::size_t digits_at(std::string_view text, std::size_t start) {
  std::size_t count = 0;
  while (start + count < text.size() && is_digit(text[start + count])) {
    ++count;
  }
  return count;
}

std::string_view without_sign(std::string_view text) {
  return !text.empty() && (text[0] == '+' || text[0] == '-') ? text.substr(1) : text;
}

// [-+]?[0-9]+ | 0o[0-7]+ | 0x[0-9a-fA-F]+
bool is_integer(std::string_view text) {
  if (text.starts_with("0o")) {
    return all_of_class(text.substr(2), is_octal);
  }
  if (text.starts_with("0x")) {
    return all_of_class(text.substr(2), is_hex);
  }
  return all_of_class(without_sign(text), is_digit);
}

// [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? and the words for infinity and NaN
bool is_real(std::string_view text) {
  const std::string_view body = without_sign(text);
  for (const std::string_view word : {".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN"}) {
    if (body == word && (body.size() == text.size() || word[1] == 'i' || word[1] == 'I')) {
      return true;
    }
  }
  const std::size_t whole = digits_at(body, 0);
  std::size_t at = whole;
  if (at < body.size() && body[at] == '.') {
    const std::size_t fraction = digits_at(body, at + 1);
    if (whole + fraction == 0) {
      return false;
    }
    at += 1 + fraction;
  } else if (whole == 0) {
    return false;
  }
  if (at < body.size() && (body[at] == 'e' || body[at] == 'E')) {
    ++at;
    at += at < body.size() && (body[at] == '+' || body[at] == '-') ? 1 : 0;
    const std::size_t exponent = digits_at(body, at);
    if (exponent == 0) {
      return false;
    }
    at += exponent;
  }
  return at == body.size();
}

// Edits (insert, delete, replace, swap neighbours) that turn a into b.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        cost[i][j] = i + j;
        continue;
      }
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1,
                             cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
      }
    }
  }
  return cost[a.size()][b.size()];
}

void set_paths_below(ConfigNode& node) {
  for (std::size_t i = 0; i < node.items.size(); ++i) {
    ConfigNode& item = node.items[i];
    const std::string step = node.is_map() ? item.key : std::to_string(i);
    item.path = node.path.empty() ? step : node.path + "." + step;
    set_paths_below(item);
  }
}

}  // namespace

ConfigNode ConfigNode::scalar(std::string text) {
  ConfigNode node;
  node.text = std::move(text);
  return node;
}

ConfigNode ConfigNode::word(std::string text) {
  ConfigNode node = scalar(std::move(text));
  node.quoted = scalar_type(node) != ScalarType::kText;
  return node;
}

ConfigNode ConfigNode::number(std::int64_t value) {
  return scalar(std::to_string(value));
}

ConfigNode ConfigNode::number(double value) {
  std::array<char, 32> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  std::string text(buffer.data(), end);
  if (!std::isfinite(value)) {
    return scalar(std::isnan(value) ? ".nan" : value < 0 ? "-.inf" : ".inf");
  }
  // 1e-05 becomes 1.0e-5: with point and sign, a number to YAML 1.1 readers too.
  std::string exponent;
  if (const std::size_t e = text.find('e'); e != std::string::npos) {
    const std::string_view tail = std::string_view(text).substr(e + 1);
    const std::size_t first = std::min(tail.find_first_not_of("+-0"), tail.size() - 1);
    exponent = (tail[0] == '-' ? "e-" : "e+") + std::string(tail.substr(first));
    text.resize(e);
  }
  if (text.find('.') == std::string::npos) {
    text += ".0";
  }
  return scalar(text + exponent);
}

ConfigNode ConfigNode::list(std::vector<ConfigNode> items) {
  ConfigNode node;
  node.kind = Kind::kList;
  node.items = std::move(items);
  return node;
}

ConfigNode ConfigNode::map() {
  ConfigNode node;
  node.kind = Kind::kMap;
  return node;
}

bool ConfigNode::is_null() const {
  return is_scalar() && scalar_type(*this) == ScalarType::kNull;
}

const ConfigNode* ConfigNode::find(std::string_view entry) const {
  const auto found = std::find_if(items.begin(), items.end(),
                                  [&](const ConfigNode& item) { return item.key == entry; });
  return is_map() && found != items.end() ? &*found : nullptr;
}

ConfigNode* ConfigNode::find(std::string_view entry) {
  return const_cast<ConfigNode*>(std::as_const(*this).find(entry));
}

ConfigNode& ConfigNode::add(std::string_view entry, ConfigNode value) {
  value.key = entry;
  return items.emplace_back(std::move(value));
}

bool same_value(const ConfigNode& a, const ConfigNode& b) {
  if (a.kind != b.kind || a.items.size() != b.items.size()) {
    return false;
  }
  if (a.is_scalar()) {
    return a.text == b.text && scalar_type(a) == scalar_type(b);
  }
  for (std::size_t i = 0; i < a.items.size(); ++i) {
    const ConfigNode* other = a.is_map() ? b.find(a.items[i].key) : &b.items[i];
    if (other == nullptr || !same_value(a.items[i], *other)) {
      return false;
    }
  }
  return true;
}

void set_paths(ConfigNode& root) {
  root.path.clear();
  set_paths_below(root);
}

std::string to_string(const ConfigLocation& location) {
  if (!location.source) {
    return "recipe";
  }
  const ConfigSource& source = *location.source;
  return source.is_file && location.line > 0
             ? concat(source.name, ":", location.line, ":", location.column)
             : source.name;
}

void fail_at(const ConfigNode& node, const std::string& message) {
  const std::string key = node.path.empty() ? "" : "key '" + node.path + "': ";
  throw ConfigError(to_string(node.location) + ": " + key + message);
}

ScalarType scalar_type(const ConfigNode& scalar) {
  const std::string_view text = scalar.text;
  if (scalar.quoted) {
    return ScalarType::kText;
  }
  if (text.empty() || text == "null" || text == "Null" || text == "NULL" || text == "~") {
    return ScalarType::kNull;
  }
  if (text == "true" || text == "false") {
    return ScalarType::kFlag;
  }
  if (is_integer(text)) {
    return ScalarType::kInteger;
  }
  return is_real(text) ? ScalarType::kReal : ScalarType::kText;
}

std::string found(const ConfigNode& node) {
  if (node.is_list()) {
    return "a list";
  }
  if (node.is_map()) {
    return "a map";
  }
  if (node.is_null()) {
    return "null";
  }
  return (node.quoted ? "the quoted text '" : "'") + node.text + "'";
}

std::string join(const std::vector<std::string_view>& words) {
  std::string text;
  for (const std::string_view word : words) {
    text.append(text.empty() ? "" : ", ").append(word);
  }
  return text;
}

std::string_view nearest(std::string_view text, const std::vector<std::string_view>& words) {
  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(1, text.size() / 3) + 1;
  for (const std::string_view word : words) {
    const std::size_t distance = edit_distance(text, word);
    if (distance < best_distance && distance < word.size()) {
      best = word;
      best_distance = distance;
    }
  }
  return best;
}

std::string suggestion(std::string_view text, const std::vector<std::string_view>& words) {
  const std::string_view word = nearest(text, words);
  const std::string meant = word.empty() ? "; " : concat("; did you mean '", word, "'? ");
  return meant + "accepted: " + (words.empty() ? "nothing" : join(words));
}

}  // namespace clausius
