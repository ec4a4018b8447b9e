// SPDX-License-Identifier: Apache-2.0
// What declarations say about themselves: types, ranges, defaults and sentences, for help pages,
// JSON Schema and messages.
#pragma once

#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "core/config_node.h"

namespace clausius {

/// The values a number may take.
struct Constraint {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool above_low = false;  // low itself is excluded

  [[nodiscard]] bool allows(double value) const {
    return value <= high && (above_low ? value > low : value >= low);
  }
};

inline constexpr Constraint positive{.low = 0.0, .above_low = true};
inline constexpr Constraint non_negative{.low = 0.0};
inline constexpr Constraint zero_to_one{.low = 0.0, .high = 1.0};
[[nodiscard]] constexpr Constraint at_least(double low) {
  return {.low = low};
}
[[nodiscard]] constexpr Constraint between(double low, double high) {
  return {.low = low, .high = high};
}

struct FieldSchema;
struct KindSchema;

struct TypeSchema {
  enum class Kind {
    kFlag,
    kInteger,
    kReal,
    kText,
    kPath,
    kDuration,
    kWords,    // one of `words`
    kList,     // of parts[0]
    kMap,      // keys parts[0], values parts[1]
    kEither,   // one of parts
    kBlock,    // a map of `fields`
    kChoice,   // a kind of `words`; its keys in `kinds`, or in the registry named `family`
    kPattern,  // the choice parts[0] for every layer, or a list of them
  };

  Kind kind = Kind::kText;
  Constraint range{};
  bool nullable = false;
  bool automatic = false;
  std::size_t length = 0;  // of a list of fixed length
  std::vector<std::string> words;
  std::vector<TypeSchema> parts;
  std::vector<FieldSchema> fields;
  std::vector<KindSchema> kinds;
  std::string family;
};

struct FieldSchema {
  std::string key;
  std::string doc;
  TypeSchema type;
  bool required = false;
  std::string derived;  // how the default follows from other keys, if it does
  ConfigNode default_value;
};

struct KindSchema {
  std::string name;
  std::string doc;
  std::vector<FieldSchema> fields;
};

[[nodiscard]] TypeSchema type_schema(TypeSchema::Kind kind, const Constraint& range = {});

/// The notation of the recipe pages: `int 1+`, `real >0?`, `auto/int 1+`, `[share]`, `pre/post`.
[[nodiscard]] std::string notation(const TypeSchema& type);

/// The words of messages: "an integer >= 1", "a number from 0 to 1 or null", "one of pre, post".
[[nodiscard]] std::string phrase(const TypeSchema& type);

}  // namespace clausius
