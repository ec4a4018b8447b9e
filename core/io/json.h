// SPDX-License-Identifier: Apache-2.0
// JSON documents as values. The only place that knows the JSON library.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/config_node.h"

namespace clausius {

/// null, flag, integer, real, text, array or object (keys in the order written). Accessors throw
/// DataError naming the key when the document is not what the caller needs.
class Json {
 public:
  using Array = std::vector<Json>;
  using Member = std::pair<std::string, Json>;
  using Object = std::vector<Member>;

  Json() = default;  // null
  // A document is written as its values: Json::Array{1, "two"}.
  // NOLINTBEGIN(google-explicit-constructor)
  Json(bool value) : value_(value) {}
  Json(int value) : value_(std::int64_t{value}) {}
  Json(std::int64_t value) : value_(value) {}
  Json(double value) : value_(value) {}
  Json(std::string value) : value_(std::move(value)) {}
  Json(std::string_view value) : value_(std::string(value)) {}
  Json(const char* value) : value_(std::string(value)) {}
  Json(Array value) : value_(std::move(value)) {}
  Json(Object value) : value_(std::move(value)) {}
  // NOLINTEND(google-explicit-constructor)

  /// DataError naming `source` and the place for text that is no JSON, or has a key twice.
  [[nodiscard]] static Json parse(std::string_view text, std::string_view source);
  /// Numbers in their shortest form that reads back the same, NaN and infinities as null, invalid
  /// UTF-8 replaced. `indent` < 0: one line.
  [[nodiscard]] std::string dump(int indent = -1) const;

  [[nodiscard]] bool is_null() const { return holds<std::monostate>(); }
  [[nodiscard]] bool is_flag() const { return holds<bool>(); }
  [[nodiscard]] bool is_integer() const { return holds<std::int64_t>(); }
  [[nodiscard]] bool is_number() const { return is_integer() || holds<double>(); }
  [[nodiscard]] bool is_text() const { return holds<std::string>(); }
  [[nodiscard]] bool is_array() const { return holds<Array>(); }
  [[nodiscard]] bool is_object() const { return holds<Object>(); }

  [[nodiscard]] bool flag() const;
  [[nodiscard]] std::int64_t integer() const;
  [[nodiscard]] double number() const;
  [[nodiscard]] const std::string& text() const;
  [[nodiscard]] const Array& array() const;
  [[nodiscard]] const Object& object() const;

  /// The member of an object, or null; linear in the number of members.
  [[nodiscard]] const Json* find(std::string_view key) const;
  /// The same where it must be there.
  [[nodiscard]] const Json& at(std::string_view key) const;
  /// Appends a member; null becomes an object first.
  Json& set(std::string_view key, Json value);
  /// Appends an element; null becomes an array first.
  Json& push(Json value);

  friend bool operator==(const Json&, const Json&) = default;

 private:
  template <class T>
  [[nodiscard]] bool holds() const {
    return std::holds_alternative<T>(value_);
  }
  template <class T>
  [[nodiscard]] const T& get(std::string_view wanted) const;

  std::variant<std::monostate, bool, std::int64_t, double, std::string, Array, Object> value_;
};

/// A config tree with its scalars typed by the YAML core schema.
[[nodiscard]] Json to_json(const ConfigNode& node);

}  // namespace clausius
