// SPDX-License-Identifier: Apache-2.0
// A config from its sources: a file, the parents it extends, and `key=value` overrides, merged into
// one tree.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/config_node.h"

namespace clausius {

/// Value:   maps merge key by key, lists and scalars replace; a map that names another `kind` than
/// the parent's starts
///          empty; a bare word under a map without `kind` counts as {kind: word}. `extends` is gone
///          from the result.
/// Errors:  ConfigError for a file that is missing or unreadable (also a parent's), a cycle, an
/// override without `=`, given
///          twice, or naming an entry that a list does not have.
[[nodiscard]] ConfigNode load_config(const std::filesystem::path& file,
                                     const std::vector<std::string>& overrides = {});

/// The same for text that is no file; its relative paths and `extends` start from `source`'s
/// directory.
[[nodiscard]] ConfigNode parse_config(std::string_view text,
                                      const std::shared_ptr<const ConfigSource>& source,
                                      const std::vector<std::string>& overrides = {});

/// A value for a dotted key: an override that was read already.
struct ConfigOverride {
  std::string key;
  ConfigNode value;
};

/// Reads `key=value` texts of a command line. Errors: as load_config.
[[nodiscard]] std::vector<ConfigOverride> parse_overrides(const std::vector<std::string>& texts);

/// `tree` with the overrides laid over it, all together as one more child. List entries are named by number where a value's
/// source is no file.
/// Errors:  ConfigError for a key with an empty part, or one given twice.
[[nodiscard]] ConfigNode override_config(ConfigNode tree, std::vector<ConfigOverride> overrides);

/// `child` laid over `parent`.
[[nodiscard]] ConfigNode merge_configs(ConfigNode parent, ConfigNode child);

}  // namespace clausius
