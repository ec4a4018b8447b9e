// SPDX-License-Identifier: Apache-2.0
// Declared keys as help pages and as JSON Schema.
#pragma once

#include <string>
#include <vector>

#include "core/config_schema.h"
#include "core/io/json.h"

namespace clausius {

/// One line a key, `key: type = default`, and its sentence beside it; the keys of blocks and of closed choices indented
/// below. Kinds of a registry are named, not spelled out.
[[nodiscard]] std::string help_text(const std::vector<FieldSchema>& fields);

/// The page of one kind of a registry: its sentence and its keys.
[[nodiscard]] std::string help_text(const std::string& family, const KindSchema& kind);

/// The registries that the fields pick kinds from, directly or through such kinds, in the order they come up.
[[nodiscard]] std::vector<std::string> families_of(const std::vector<FieldSchema>& fields);

/// The keys that may stand below a key of that type: a block's, or those of every kind of a choice.
[[nodiscard]] std::vector<FieldSchema> keys_below(const TypeSchema& type);

/// JSON Schema (2020-12) of a map with these keys; each registry is a definition. Editors complete and check recipes
/// with it. Rules that involve several keys are not in it.
[[nodiscard]] Json json_schema(const std::string& title, const std::vector<FieldSchema>& fields);

}  // namespace clausius
