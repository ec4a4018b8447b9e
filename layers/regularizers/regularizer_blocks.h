// SPDX-License-Identifier: Apache-2.0
// The recipe section `regularizers`: a block for each registered kind, on by presence.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "core/config.h"
#include "layers/regularizers/regularizer.h"

namespace clausius {

/// The block of one kind. The key it stands under is the kind.
struct RegularizerBlock {
  std::string_view kind;
  std::optional<Choice<Regularizer>> choice;
};

template <>
struct ConfigType<RegularizerBlock> {
  static bool fits(const ConfigNode& node) { return node.is_map() || node.is_null(); }
  static void read(const ConfigNode& node,
                   RegularizerBlock& value,
                   const auto& /*rules*/,
                   ReadLog& log) {
    value.choice.reset();
    if (!node.is_null()) {
      read_block(node, *value.choice.emplace(value.kind).block(kNone), log);
    }
  }
  static ConfigNode write(RegularizerBlock& value, const auto& /*context*/, WriteMode mode) {
    return value.choice ? write_block(*value.choice->block(kNone), mode) : ConfigNode{};
  }
  static TypeSchema describe(const RegularizerBlock& value, const auto& /*rules*/) {
    Choice<Regularizer> defaults(value.kind);
    TypeSchema schema = describe_block_type(*defaults.block(kNone));
    schema.nullable = true;
    return schema;
  }

 private:
  static constexpr NoContext kNone{};
};

struct RegularizerBlocks {
  std::vector<RegularizerBlock> blocks;

  RegularizerBlocks() {
    for (const std::string_view kind : Registry<Regularizer>::instance().kinds()) {
      blocks.push_back({.kind = kind, .choice = std::nullopt});
    }
  }
  void visit(ConfigVisitor& v) {
    for (RegularizerBlock& block : blocks) {
      v.field(block.kind, block, Choice<Regularizer>(block.kind).doc());
    }
  }
  /// Those that are on.
  [[nodiscard]] std::vector<Choice<Regularizer>> chosen() const {
    std::vector<Choice<Regularizer>> all;
    for (const RegularizerBlock& block : blocks) {
      if (block.choice) {
        all.push_back(*block.choice);
      }
    }
    return all;
  }
};

}  // namespace clausius
