// SPDX-License-Identifier: Apache-2.0
// The tree a recipe is parsed into: untyped scalars, lists and maps that know where they were
// written.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace clausius {

/// One file, or one `key=value` of a command line.
struct ConfigSource {
  std::string name;       // as messages print it
  std::string directory;  // what relative paths start from; absolute
  bool is_file = true;    // has lines and columns
};

struct ConfigLocation {
  std::shared_ptr<const ConfigSource> source;
  int line = 0;  // from 1; 0 = nowhere in particular
  int column = 0;
};

/// A scalar, list or map. Scalars stay text until a typed read (core/config_types.h) gives them a
/// meaning.
struct ConfigNode {
  enum class Kind { kScalar, kList, kMap };

  Kind kind = Kind::kScalar;
  std::string key;                // of a map's entry
  std::string path;               // dotted, from the root: model.mixer.0.window; set by `set_paths`
  std::string text = "null";      // of a scalar
  bool quoted = false;            // a quoted scalar is text whatever it looks like
  ConfigLocation location;        // of the key where there is one, else of the value
  std::vector<ConfigNode> items;  // of a list, or the entries of a map in the order written

  /// Plain text, whatever it reads as.
  [[nodiscard]] static ConfigNode scalar(std::string text);
  /// Text that reads back as text: quoted where a plain scalar would be a number, a flag or null.
  [[nodiscard]] static ConfigNode word(std::string text);
  [[nodiscard]] static ConfigNode number(std::int64_t value);
  /// The shortest text that reads back as the same double, with a point or exponent: 1.0e-3 is
  /// 0.001, 1.0e-5.
  [[nodiscard]] static ConfigNode number(double value);
  [[nodiscard]] static ConfigNode list(std::vector<ConfigNode> items = {});
  [[nodiscard]] static ConfigNode map();

  [[nodiscard]] bool is_scalar() const { return kind == Kind::kScalar; }
  [[nodiscard]] bool is_list() const { return kind == Kind::kList; }
  [[nodiscard]] bool is_map() const { return kind == Kind::kMap; }
  [[nodiscard]] bool is_null() const;

  /// The entry of a map, or null.
  [[nodiscard]] const ConfigNode* find(std::string_view entry) const;
  [[nodiscard]] ConfigNode* find(std::string_view entry);
  /// Appends an entry to a map.
  ConfigNode& add(std::string_view entry, ConfigNode value);
};

/// Equal values and shape, wherever they were written.
[[nodiscard]] bool same_value(const ConfigNode& a, const ConfigNode& b);

/// Fills `path` of every node below `root`.
void set_paths(ConfigNode& root);

/// `file:line:column`, or `command line: key=value`.
[[nodiscard]] std::string to_string(const ConfigLocation& location);

/// Throws ConfigError `WHERE: key 'PATH': MESSAGE`.
[[noreturn]] void fail_at(const ConfigNode& node, const std::string& message);

template <class... Parts>
[[noreturn]] void fail(const ConfigNode& node, const Parts&... parts) {
  fail_at(node, concat(parts...));
}

/// What a plain scalar is by the YAML 1.2 core schema.
enum class ScalarType { kNull, kFlag, kInteger, kReal, kText };
[[nodiscard]] ScalarType scalar_type(const ConfigNode& scalar);

/// The node as a message shows it: 'x', "the quoted text 'x'", "a list", "a map", "null".
[[nodiscard]] std::string found(const ConfigNode& node);

/// "a, b, c".
[[nodiscard]] std::string join(const std::vector<std::string_view>& words);

/// The word most like `text` if it is close enough to be a slip of the fingers, else empty.
[[nodiscard]] std::string_view nearest(std::string_view text,
                                       const std::vector<std::string_view>& words);

/// "; did you mean 'x'? accepted: x, y", or "; accepted: x, y" where nothing is near.
[[nodiscard]] std::string suggestion(std::string_view text,
                                     const std::vector<std::string_view>& words);

}  // namespace clausius
