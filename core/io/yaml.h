// SPDX-License-Identifier: Apache-2.0
// YAML text to and from ConfigNode trees. The only place that knows the YAML library.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/config_node.h"

namespace clausius {

/// Parses one document.
/// Value:   scalars stay text; anchors are followed; every node knows its line and column and its
/// path. Errors:  ConfigError `file:line:column: ..` for what is no YAML, for duplicate and empty
/// keys, `<<`, tags, empty values,
///          a second document, more than 64 levels, 1000 keys a map, 100 000 nodes (aliases
///          counted) or 1 MiB.
[[nodiscard]] ConfigNode parse_yaml(std::string_view text,
                                    const std::shared_ptr<const ConfigSource>& source);

/// The tree as YAML that parses to the same values: maps in block style, lists of scalars in flow
/// style.
[[nodiscard]] std::string to_yaml(const ConfigNode& node);

/// The same on one line, in flow style, without an end of line.
[[nodiscard]] std::string to_yaml_line(const ConfigNode& node);

}  // namespace clausius
