// SPDX-License-Identifier: Apache-2.0
// Strict reads of scalars: flags, numbers, text, words, durations.
#include "core/config_types.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/config_duration.h"

namespace clausius {
namespace {

constexpr double kLargestExact =
    9007199254740992.0;  // 2^53: every smaller whole double is one integer

void require_scalar(const ConfigNode& node, ScalarType type, const TypeSchema& wanted) {
  if (!node.is_scalar() || scalar_type(node) != type) {
    detail::fail_type(node, wanted);
  }
}

void refuse_leading_zero(const ConfigNode& node) {
  const std::string_view digits =
      std::string_view(node.text).substr(node.text.find_first_not_of("+-"));
  if (digits.size() > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9') {
    const std::size_t first = std::min(digits.find_first_not_of('0'), digits.size() - 1);
    fail(node, "'", node.text, "' starts with a zero; write ", digits.substr(first),
         " (octal would be 0o", digits.substr(first), ")");
  }
}

void require_range(const ConfigNode& node, double value, const TypeSchema& wanted) {
  if (!wanted.range.allows(value)) {
    fail(node, node.text, " is out of range; expected ", phrase(wanted));
  }
}

// `text` is a real of the core schema.
double to_real(std::string_view text) {
  text.remove_prefix(text.starts_with('+') ? 1 : 0);
  double value = 0.0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  return result.ec == std::errc() && result.ptr == text.data() + text.size() ? value : std::nan("");
}

std::int64_t to_integer(const ConfigNode& node, const TypeSchema& wanted) {
  std::string_view text = node.text;
  if (scalar_type(node) == ScalarType::kReal) {
    const double value = to_real(text);
    if (!(std::abs(value) <= kLargestExact) || value != std::floor(value)) {
      fail(node, "expected ", phrase(wanted), ", found '", text, "', which is no exact integer");
    }
    return static_cast<std::int64_t>(value);
  }
  refuse_leading_zero(node);
  const int base = text.starts_with("0x") ? 16 : text.starts_with("0o") ? 8 : 10;
  text.remove_prefix(base != 10 ? 2 : text.starts_with('+') ? 1 : 0);
  std::int64_t value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (result.ec != std::errc()) {
    fail(node, "'", node.text, "' does not fit 64 bits");
  }
  return value;
}

bool is_number(const ConfigNode& node) {
  return node.is_scalar() &&
         (scalar_type(node) == ScalarType::kInteger || scalar_type(node) == ScalarType::kReal);
}

}  // namespace

namespace detail {

void fail_type(const ConfigNode& node, const TypeSchema& wanted) {
  std::string hint;
  if (node.is_scalar() && node.quoted) {
    ConfigNode plain = node;
    plain.quoted = false;
    hint = scalar_type(plain) == ScalarType::kText ? "" : "; take the quotes away";
  } else if (wanted.kind == TypeSchema::Kind::kText && node.is_scalar() && !node.is_null()) {
    hint = "; quote it";
  }
  fail(node, "expected ", phrase(wanted), ", found ", found(node), hint);
}

bool is_word(const ConfigNode& node, std::string_view word) {
  return node.is_scalar() && node.text == word;
}

std::ptrdiff_t find_word(const ConfigNode& node, std::span<const std::string_view> words) {
  const auto place = std::find(words.begin(), words.end(), node.text);
  return node.is_scalar() && place != words.end() ? place - words.begin() : -1;
}

std::size_t read_word(const ConfigNode& node, std::span<const std::string_view> words) {
  const std::ptrdiff_t index = find_word(node, words);
  if (index < 0) {
    const std::vector<std::string_view> list(words.begin(), words.end());
    const std::string_view meant = nearest(node.text, list);
    fail(node, "expected ", phrase(describe_words(words)), ", found ", found(node),
         meant.empty() ? "" : concat("; did you mean '", meant, "'?"));
  }
  return static_cast<std::size_t>(index);
}

TypeSchema describe_words(std::span<const std::string_view> words) {
  TypeSchema schema = type_schema(TypeSchema::Kind::kWords);
  schema.words.assign(words.begin(), words.end());
  return schema;
}

void require_list(const ConfigNode& node, const TypeSchema& wanted) {
  if (!node.is_list()) {
    fail_type(node, wanted);
  }
  if (wanted.length != 0 && node.items.size() != wanted.length) {
    fail(node, "expected ", phrase(wanted), ", found ", node.items.size());
  }
}

}  // namespace detail

bool ConfigType<bool>::fits(const ConfigNode& node) {
  return node.is_scalar() && scalar_type(node) == ScalarType::kFlag;
}
void ConfigType<bool>::read(const ConfigNode& node, bool& value, const Constraint& range) {
  require_scalar(node, ScalarType::kFlag, describe(range));
  value = node.text == "true";
}
ConfigNode ConfigType<bool>::write(const bool& value) {
  return ConfigNode::scalar(value ? "true" : "false");
}
TypeSchema ConfigType<bool>::describe(const Constraint& /*range*/) {
  return type_schema(TypeSchema::Kind::kFlag);
}

bool ConfigType<std::int64_t>::fits(const ConfigNode& node) {
  return is_number(node);
}
void ConfigType<std::int64_t>::read(const ConfigNode& node,
                                    std::int64_t& value,
                                    const Constraint& range) {
  const TypeSchema wanted = describe(range);
  if (!is_number(node)) {
    detail::fail_type(node, wanted);
  }
  value = to_integer(node, wanted);
  require_range(node, static_cast<double>(value), wanted);
}
ConfigNode ConfigType<std::int64_t>::write(const std::int64_t& value) {
  return ConfigNode::number(value);
}
TypeSchema ConfigType<std::int64_t>::describe(const Constraint& range) {
  return type_schema(TypeSchema::Kind::kInteger, range);
}

bool ConfigType<double>::fits(const ConfigNode& node) {
  return is_number(node);
}
void ConfigType<double>::read(const ConfigNode& node, double& value, const Constraint& range) {
  const TypeSchema wanted = describe(range);
  if (!is_number(node)) {
    detail::fail_type(node, wanted);
  }
  const bool integer = scalar_type(node) == ScalarType::kInteger;
  value = integer ? static_cast<double>(to_integer(node, wanted)) : to_real(node.text);
  if (!std::isfinite(value)) {
    fail(node, "expected ", phrase(wanted), ", found '", node.text, "', which is no finite double");
  }
  require_range(node, value, wanted);
}
ConfigNode ConfigType<double>::write(const double& value) {
  return ConfigNode::number(value);
}
TypeSchema ConfigType<double>::describe(const Constraint& range) {
  return type_schema(TypeSchema::Kind::kReal, range);
}

bool ConfigType<std::string>::fits(const ConfigNode& node) {
  return node.is_scalar() && scalar_type(node) == ScalarType::kText;
}
void ConfigType<std::string>::read(const ConfigNode& node,
                                   std::string& value,
                                   const Constraint& range) {
  require_scalar(node, ScalarType::kText, describe(range));
  value = node.text;
}
ConfigNode ConfigType<std::string>::write(const std::string& value) {
  return ConfigNode::word(value);
}
TypeSchema ConfigType<std::string>::describe(const Constraint& /*range*/) {
  return type_schema(TypeSchema::Kind::kText);
}

}  // namespace clausius
