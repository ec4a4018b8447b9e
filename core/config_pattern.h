// SPDX-License-Identifier: Apache-2.0
// Pattern<Base>: one choice for all layers, or a list of choices with `repeat` and nested
// `pattern`.
#pragma once

#include <cstdint>
#include <vector>

#include "core/registry.h"

namespace clausius {

/// How a pattern was written, with its choices numbered in that order.
struct PatternLayout {
  struct Entry {
    std::size_t choice = 0;       // unless nested
    std::vector<Entry> nested{};  // `pattern: [..]`
    std::int64_t repeat = 1;
    bool rest = false;  // `repeat: rest`: for the layers left over
  };
  bool single = true;  // one choice for all layers, not a list
  std::vector<Entry> entries{};

  /// The number of the choice of each layer. ConfigError with both numbers where the list does not
  /// fit the layers.
  [[nodiscard]] std::vector<std::size_t> expand(std::int64_t layers) const;
};

/// Takes a written pattern apart: `leaves` gets the node of each choice, without its `repeat`.
[[nodiscard]] PatternLayout read_pattern(const ConfigNode& node, std::vector<ConfigNode>& leaves);
/// Puts it together again.
[[nodiscard]] ConfigNode write_pattern(const PatternLayout& layout,
                                       const std::vector<ConfigNode>& leaves);
/// Throws at `node` if the layout does not fit.
void check_pattern(const ConfigNode& node, const PatternLayout& layout, std::int64_t layers);

/// The context of a pattern: how many layers it must fit, and what each choice is visited in.
template <class Context>
struct PerLayer {
  std::int64_t layers = 0;
  Context context{};
};
template <class Context>
PerLayer(std::int64_t, Context) -> PerLayer<Context>;

template <class Base>
class Pattern {
 public:
  /// Nothing is picked.
  Pattern() = default;
  /// One choice for all layers.
  explicit Pattern(Choice<Base> choice) : choices_{std::move(choice)} {}
  explicit Pattern(std::string_view kind) : Pattern(Choice<Base>(kind)) {}
  /// One choice a layer, or a divisor of the layers, then it cycles.
  explicit Pattern(std::vector<Choice<Base>> choices) : choices_(std::move(choices)) {
    layout_.single = false;
    for (std::size_t i = 0; i < choices_.size(); ++i) {
      layout_.entries.push_back({.choice = i});
    }
  }

  /// The choice of each layer. ConfigError with both numbers where the list does not fit the
  /// layers.
  [[nodiscard]] std::vector<Choice<Base>> expand(std::int64_t layers) const {
    std::vector<Choice<Base>> expanded;
    for (const std::size_t choice : layout_.expand(layers)) {
      expanded.push_back(choices_.at(choice));
    }
    return expanded;
  }
  /// The choices in the order written, each once.
  [[nodiscard]] const std::vector<Choice<Base>>& choices() const { return choices_; }
  [[nodiscard]] bool is_list() const { return !layout_.single; }

  friend bool operator==(const Pattern& a, const Pattern& b) { return same_config(a, b); }

 private:
  friend ConfigType<Pattern>;
  PatternLayout layout_;
  std::vector<Choice<Base>> choices_;
};

template <class Base>
struct ConfigType<Pattern<Base>> {
  using Context = typename Choice<Base>::Context;

  static bool fits(const ConfigNode& /*node*/) { return true; }
  static void read(const ConfigNode& node,
                   Pattern<Base>& value,
                   const Rules<PerLayer<Context>>& rules,
                   ReadLog& log) {
    Pattern<Base> fresh;
    std::vector<ConfigNode> leaves;
    fresh.layout_ = read_pattern(node, leaves);
    for (const ConfigNode& leaf : leaves) {
      // A single map without `kind` refines the default; in a list every entry names its own.
      Choice<Base> choice = node.is_list() || value.is_list() || value.choices_.empty()
                                ? Choice<Base>()
                                : value.choices_[0];
      detail::read(leaf, choice, Rules<Context>{{}, rules.context.context}, log);
      fresh.choices_.push_back(std::move(choice));
    }
    check_pattern(node, fresh.layout_, rules.context.layers);
    value = std::move(fresh);
  }
  static ConfigNode write(Pattern<Base>& value, const PerLayer<Context>& context, WriteMode mode) {
    std::vector<ConfigNode> leaves;
    for (Choice<Base>& choice : value.choices_) {
      leaves.push_back(detail::write(choice, context.context, mode));
    }
    return write_pattern(value.layout_, leaves);
  }
  static ConfigNode write(Pattern<Base>& value, const NoContext& /*none*/, WriteMode mode) {
    return write(value, PerLayer<Context>{}, mode);
  }
  static TypeSchema describe(const Pattern<Base>& /*value*/, const auto& /*rules*/) {
    TypeSchema schema = type_schema(TypeSchema::Kind::kPattern);
    const Choice<Base> none;
    schema.parts.push_back(
        ConfigType<Choice<Base>>::describe(none, Rules<NoContext>{{}, NoContext{}}));
    return schema;
  }
};

}  // namespace clausius
