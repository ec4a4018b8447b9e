// SPDX-License-Identifier: Apache-2.0
// Blocks (structs with `visit`) and choices (a block picked by `kind:`) as members of a config.
// Included by core/config.h.
#pragma once

#include "core/config_types.h"

namespace clausius {

/// A map of declared keys, type erased.
class BlockRef {
 public:
  virtual ~BlockRef() = default;
  virtual void visit(ConfigVisitor& visitor) = 0;
  virtual void validate(const ConfigCheck& check) const = 0;
  /// The key that a bare scalar stands for, or empty.
  [[nodiscard]] virtual std::string_view short_key() const { return {}; }
};

/// A block picked by name, type erased.
class ChoiceRef {
 public:
  virtual ~ChoiceRef() = default;
  [[nodiscard]] virtual std::vector<std::string_view> kinds() const = 0;
  /// The kind picked, empty where there is none yet.
  [[nodiscard]] virtual std::string_view kind() const = 0;
  /// Picks a kind, with its defaults.
  virtual void select(std::string_view kind) = 0;
  /// The sentence and the keys of the kind picked.
  [[nodiscard]] virtual std::string_view doc() const = 0;
  virtual BlockRef& block() = 0;
  /// The registry that knows the kinds, or empty.
  [[nodiscard]] virtual std::string_view family() const { return {}; }
};

/// Reads a map strictly: unknown keys, missing required ones, wrong values are ConfigErrors naming
/// file, line and column. Keys that are not written keep what the block holds.
void read_block(const ConfigNode& node, BlockRef& block, ReadLog& log);
void read_choice(const ConfigNode& node, ChoiceRef& choice, ReadLog& log);
[[nodiscard]] ConfigNode write_block(BlockRef& block, WriteMode mode);
[[nodiscard]] ConfigNode write_choice(ChoiceRef& choice, WriteMode mode);
[[nodiscard]] std::vector<FieldSchema> describe_block(BlockRef& block);
[[nodiscard]] TypeSchema describe_block_type(BlockRef& block);
/// `choice` is scratch: it ends on its last kind.
[[nodiscard]] TypeSchema describe_choice(ChoiceRef& choice);

template <class T>
concept ConfigBlock = std::is_class_v<T> && requires {
  &T::visit;
};

template <class T, class Context>
concept VisitedIn = requires(T t, ConfigVisitor& v, const Context& c) {
  t.visit(v, c);
};

namespace detail {

template <class T>
std::string_view doc_of() {
  if constexpr (requires { T::kDoc; }) {
    return T::kDoc;
  } else {
    return {};
  }
}

template <class T, class Context>
class BlockOf final : public BlockRef {
 public:
  BlockOf(T& block, const Context& context) : block_(block), context_(context) {}
  void visit(ConfigVisitor& visitor) override {
    if constexpr (VisitedIn<T, Context>) {
      block_.visit(visitor, context_);
    } else {
      block_.visit(visitor);
    }
  }
  void validate(const ConfigCheck& check) const override {
    if constexpr (requires { block_.validate(check, context_); }) {
      block_.validate(check, context_);
    } else if constexpr (requires { block_.validate(check); }) {
      block_.validate(check);
    }
  }
  [[nodiscard]] std::string_view short_key() const override {
    if constexpr (requires { T::kShortKey; }) {
      return T::kShortKey;
    } else {
      return {};
    }
  }

 private:
  T& block_;
  const Context& context_;
};

template <class Context, class... Ts>
class VariantChoice final : public ChoiceRef {
 public:
  VariantChoice(std::variant<Ts...>& value, const Context& context)
      : value_(value), context_(context) {}
  [[nodiscard]] std::vector<std::string_view> kinds() const override {
    return {std::string_view(Ts::kKind)...};
  }
  [[nodiscard]] std::string_view kind() const override {
    return std::visit([](const auto& held) { return std::string_view(held.kKind); }, value_);
  }
  void select(std::string_view kind) override {
    static_cast<void>(((kind == Ts::kKind && (value_.template emplace<Ts>(), true)) || ...));
  }
  [[nodiscard]] std::string_view doc() const override {
    return std::visit([]<class T>(const T& /*held*/) { return doc_of<T>(); }, value_);
  }
  BlockRef& block() override {
    std::visit([this]<class T>(
                   T& held) { block_ = std::make_unique<BlockOf<T, Context>>(held, context_); },
               value_);
    return *block_;
  }

 private:
  std::variant<Ts...>& value_;
  const Context& context_;
  std::unique_ptr<BlockRef> block_;
};

}  // namespace detail

template <ConfigBlock T>
struct ConfigType<T> {
  static bool fits(const ConfigNode& node) {
    return node.is_map() || (requires { T::kShortKey; } && node.is_scalar());
  }
  static void read(const ConfigNode& node, T& value, const auto& rules, ReadLog& log) {
    detail::BlockOf block(value, rules.context);
    read_block(node, block, log);
  }
  static ConfigNode write(T& value, const auto& context, WriteMode mode) {
    detail::BlockOf block(value, context);
    return write_block(block, mode);
  }
  static TypeSchema describe(T& value, const auto& rules) {
    detail::BlockOf block(value, rules.context);
    return describe_block_type(block);
  }
};

/// A choice whose kinds are closed: `std::variant<NoKind, PerHead, PerHeadPosition>`.
template <NamedKind... Ts>
struct ConfigType<std::variant<Ts...>> {
  using Variant = std::variant<Ts...>;
  static bool fits(const ConfigNode& node) { return !node.is_list(); }
  static void read(const ConfigNode& node, Variant& value, const auto& rules, ReadLog& log) {
    detail::VariantChoice choice(value, rules.context);
    read_choice(node, choice, log);
  }
  static ConfigNode write(Variant& value, const auto& context, WriteMode mode) {
    detail::VariantChoice choice(value, context);
    return write_choice(choice, mode);
  }
  static TypeSchema describe(const Variant& value, const auto& rules) {
    Variant scratch = value;
    detail::VariantChoice choice(scratch, rules.context);
    return describe_choice(choice);
  }
};

/// The alternative of a closed choice that is off.
struct NoKind {
  static constexpr std::string_view kKind = "none";
  static constexpr std::string_view kDoc = "off";
  void visit(ConfigVisitor& /*v*/) {}
};

/// Reads a whole config; `node` has its paths set.
template <class T, class Context = NoContext>
void read_config(const ConfigNode& node, T& config, ReadLog& log, const Context& context = {}) {
  detail::read(node, config, Rules<Context>{{}, context}, log);
}

/// The tree of a config. kResolved: every key in long form, derived defaults replaced by their
/// values.
template <class T, class Context = NoContext>
[[nodiscard]] ConfigNode write_config(T config,
                                      WriteMode mode = WriteMode::kResolved,
                                      const Context& context = {}) {
  return detail::write(config, context, mode);
}

/// Equal knobs.
template <class T>
[[nodiscard]] bool same_config(const T& a, const T& b) {
  return same_value(write_config(a, WriteMode::kAsSet), write_config(b, WriteMode::kAsSet));
}

}  // namespace clausius
