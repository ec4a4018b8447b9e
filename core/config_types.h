// SPDX-License-Identifier: Apache-2.0
// ConfigType<T>: how a member type is read from a ConfigNode, written back and described. Included
// by core/config.h.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <variant>

#include "core/config.h"

namespace clausius {

/// What a read is subject to.
template <class Context>
struct Rules {
  Constraint range;
  const Context& context;
};

template <class T>
struct ConfigType;

template <>
struct ConfigType<bool> {
  static bool fits(const ConfigNode& node);
  static void read(const ConfigNode& node, bool& value, const Constraint& range);
  static ConfigNode write(const bool& value);
  static TypeSchema describe(const Constraint& range);
};

template <>
struct ConfigType<std::int64_t> {
  static bool fits(const ConfigNode& node);
  static void read(const ConfigNode& node, std::int64_t& value, const Constraint& range);
  static ConfigNode write(const std::int64_t& value);
  static TypeSchema describe(const Constraint& range);
};

template <>
struct ConfigType<double> {
  static bool fits(const ConfigNode& node);
  static void read(const ConfigNode& node, double& value, const Constraint& range);
  static ConfigNode write(const double& value);
  static TypeSchema describe(const Constraint& range);
};

template <>
struct ConfigType<std::string> {
  static bool fits(const ConfigNode& node);
  static void read(const ConfigNode& node, std::string& value, const Constraint& range);
  static ConfigNode write(const std::string& value);
  static TypeSchema describe(const Constraint& range);
};

namespace detail {

/// The plain types take only the range, the composite ones rules and log; these four functions
/// level that.
template <class T>
bool fits(const ConfigNode& node) {
  return ConfigType<T>::fits(node);
}

template <class T, class Context>
void read(const ConfigNode& node, T& value, const Rules<Context>& rules, ReadLog& log) {
  if constexpr (requires { ConfigType<T>::read(node, value, rules.range); }) {
    ConfigType<T>::read(node, value, rules.range);
  } else {
    ConfigType<T>::read(node, value, rules, log);
  }
}

template <class T, class Context>
ConfigNode write(T& value, const Context& context, WriteMode mode) {
  if constexpr (requires { ConfigType<T>::write(value); }) {
    return ConfigType<T>::write(value);
  } else {
    return ConfigType<T>::write(value, context, mode);
  }
}

template <class T, class Context>
TypeSchema describe(T& value, const Rules<Context>& rules) {
  if constexpr (requires { ConfigType<T>::describe(rules.range); }) {
    return ConfigType<T>::describe(rules.range);
  } else {
    return ConfigType<T>::describe(value, rules);
  }
}

[[nodiscard]] bool is_word(const ConfigNode& node, std::string_view word);
[[nodiscard]] std::ptrdiff_t find_word(const ConfigNode& node,
                                       std::span<const std::string_view> words);
/// The index of the node's word; ConfigError naming the nearest where it is none of them.
[[nodiscard]] std::size_t read_word(const ConfigNode& node,
                                    std::span<const std::string_view> words);
[[nodiscard]] TypeSchema describe_words(std::span<const std::string_view> words);
[[noreturn]] void fail_type(const ConfigNode& node, const TypeSchema& wanted);
void require_list(const ConfigNode& node, const TypeSchema& wanted);

template <class V>
TypeSchema described_fresh(const auto& rules) {
  V fresh{};
  return describe(fresh, rules);
}

template <class T>
TypeSchema list_of(const auto& rules, std::size_t length = 0) {
  TypeSchema schema = type_schema(TypeSchema::Kind::kList);
  schema.length = length;
  schema.parts.push_back(described_fresh<T>(rules));
  return schema;
}

template <class List, class Context>
ConfigNode write_list(List& values, const Context& context, WriteMode mode) {
  ConfigNode node = ConfigNode::list();
  for (auto& value : values) {
    node.items.push_back(write(value, context, mode));
  }
  return node;
}

}  // namespace detail

template <WordEnum E>
struct ConfigType<E> {
  static constexpr auto kWords = words_of(E{});
  static bool fits(const ConfigNode& node) { return detail::find_word(node, kWords) >= 0; }
  static void read(const ConfigNode& node, E& value, const Constraint& /*range*/) {
    value = static_cast<E>(detail::read_word(node, kWords));
  }
  static ConfigNode write(const E& value) { return ConfigNode::word(std::string(word_of(value))); }
  static TypeSchema describe(const Constraint& /*range*/) { return detail::describe_words(kWords); }
};

template <class T>
struct ConfigType<std::optional<T>> {
  static bool fits(const ConfigNode& node) { return node.is_null() || detail::fits<T>(node); }
  static void read(const ConfigNode& node,
                   std::optional<T>& value,
                   const auto& rules,
                   ReadLog& log) {
    if (node.is_null()) {
      value.reset();
      return;
    }
    if (!value) {
      value.emplace();
    }
    detail::read(node, *value, rules, log);
  }
  static ConfigNode write(std::optional<T>& value, const auto& context, WriteMode mode) {
    return value ? detail::write(*value, context, mode) : ConfigNode{};
  }
  static TypeSchema describe(std::optional<T>& value, const auto& rules) {
    TypeSchema schema = value ? detail::describe(*value, rules) : detail::described_fresh<T>(rules);
    schema.nullable = true;
    return schema;
  }
};

template <class T>
struct ConfigType<Auto<T>> {
  static bool fits(const ConfigNode& node) {
    return detail::is_word(node, "auto") || detail::fits<T>(node);
  }
  static void read(const ConfigNode& node, Auto<T>& value, const auto& rules, ReadLog& log) {
    if (detail::is_word(node, "auto")) {
      value.reset();
    } else {
      detail::read(node, value.emplace(), rules, log);
    }
  }
  static ConfigNode write(Auto<T>& value, const auto& context, WriteMode mode) {
    return value ? detail::write(*value, context, mode) : ConfigNode::word("auto");
  }
  static TypeSchema describe(Auto<T>& /*value*/, const auto& rules) {
    TypeSchema schema = detail::described_fresh<T>(rules);
    schema.automatic = true;
    return schema;
  }
};

template <class T>
struct ConfigType<std::vector<T>> {
  static bool fits(const ConfigNode& node) { return node.is_list(); }
  static void read(const ConfigNode& node,
                   std::vector<T>& values,
                   const auto& rules,
                   ReadLog& log) {
    detail::require_list(node, detail::list_of<T>(rules));
    values.clear();
    for (const ConfigNode& item : node.items) {
      detail::read(item, values.emplace_back(), rules, log);
    }
  }
  static ConfigNode write(std::vector<T>& values, const auto& context, WriteMode mode) {
    return detail::write_list(values, context, mode);
  }
  static TypeSchema describe(std::vector<T>& /*values*/, const auto& rules) {
    return detail::list_of<T>(rules);
  }
};

template <class T>
struct ConfigType<OneOrMany<T>> {
  static bool fits(const ConfigNode& node) { return node.is_list() || detail::fits<T>(node); }
  static void read(const ConfigNode& node, OneOrMany<T>& values, const auto& rules, ReadLog& log) {
    if (node.is_list()) {
      ConfigType<std::vector<T>>::read(node, values, rules, log);
    } else {
      values.clear();
      detail::read(node, values.emplace_back(), rules, log);
    }
  }
  static ConfigNode write(OneOrMany<T>& values, const auto& context, WriteMode mode) {
    return detail::write_list(values, context, mode);
  }
  static TypeSchema describe(OneOrMany<T>& /*values*/, const auto& rules) {
    TypeSchema either = type_schema(TypeSchema::Kind::kEither);
    either.parts = {detail::described_fresh<T>(rules), detail::list_of<T>(rules)};
    return either;
  }
};

template <class T, std::size_t n>
struct ConfigType<std::array<T, n>> {
  static bool fits(const ConfigNode& node) { return node.is_list(); }
  static void read(const ConfigNode& node,
                   std::array<T, n>& values,
                   const auto& rules,
                   ReadLog& log) {
    detail::require_list(node, detail::list_of<T>(rules, n));
    for (std::size_t i = 0; i < n; ++i) {
      detail::read(node.items[i], values[i], rules, log);
    }
  }
  static ConfigNode write(std::array<T, n>& values, const auto& context, WriteMode mode) {
    return detail::write_list(values, context, mode);
  }
  static TypeSchema describe(std::array<T, n>& /*values*/, const auto& rules) {
    return detail::list_of<T>(rules, n);
  }
};

/// Keys are text or words.
template <class K, class V>
struct ConfigType<std::map<K, V>> {
  static bool fits(const ConfigNode& node) { return node.is_map(); }
  static void read(const ConfigNode& node,
                   std::map<K, V>& values,
                   const auto& rules,
                   ReadLog& log) {
    if (!node.is_map()) {
      detail::fail_type(node, described(rules));
    }
    values.clear();
    for (const ConfigNode& item : node.items) {
      ConfigNode name = ConfigNode::word(item.key);
      name.path = item.path;
      name.location = item.location;
      K key{};
      detail::read(name, key, Rules<NoContext>{{}, NoContext{}}, log);
      detail::read(item, values[key], rules, log);
    }
  }
  static ConfigNode write(std::map<K, V>& values, const auto& context, WriteMode mode) {
    ConfigNode node = ConfigNode::map();
    for (auto& [key, value] : values) {
      K name = key;
      node.add(detail::write(name, NoContext{}, mode).text, detail::write(value, context, mode));
    }
    return node;
  }
  static TypeSchema describe(std::map<K, V>& /*values*/, const auto& rules) {
    return described(rules);
  }

 private:
  static TypeSchema described(const auto& rules) {
    TypeSchema schema = type_schema(TypeSchema::Kind::kMap);
    schema.parts = {detail::described_fresh<K>(Rules<NoContext>{{}, NoContext{}}),
                    detail::described_fresh<V>(rules)};
    return schema;
  }
};

/// A variant whose alternatives are structs with a name is a choice (core/config_block.h), any
/// other is "this or that".
template <class T>
concept NamedKind = requires {
  { T::kKind } -> std::convertible_to<std::string_view>;
};

template <class... Ts>
requires(!(NamedKind<Ts> && ...)) struct ConfigType<std::variant<Ts...>> {
  using Variant = std::variant<Ts...>;
  static bool fits(const ConfigNode& node) { return (detail::fits<Ts>(node) || ...); }
  /// The first alternative that the node looks like.
  static void read(const ConfigNode& node, Variant& value, const auto& rules, ReadLog& log) {
    const bool done = (read_as<Ts>(node, value, rules, log) || ...);
    if (!done) {
      detail::fail_type(node, describe(value, rules));
    }
  }
  static ConfigNode write(Variant& value, const auto& context, WriteMode mode) {
    return std::visit([&](auto& held) { return detail::write(held, context, mode); }, value);
  }
  static TypeSchema describe(Variant& /*value*/, const auto& rules) {
    TypeSchema schema = type_schema(TypeSchema::Kind::kEither);
    (schema.parts.push_back(detail::described_fresh<Ts>(rules)), ...);
    return schema;
  }

 private:
  template <class T>
  static bool read_as(const ConfigNode& node, Variant& value, const auto& rules, ReadLog& log) {
    if (!detail::fits<T>(node)) {
      return false;
    }
    detail::read(node, value.template emplace<T>(), rules, log);
    return true;
  }
};

namespace detail {

/// A member behind a declaration.
template <class T, class Context>
class MemberValue final : public ConfigValue {
 public:
  MemberValue(T& member, const Constraint& range, const Context& context)
      : member_(member), rules_{range, context} {}
  void read(const ConfigNode& node, ReadLog& log) override {
    detail::read(node, member_, rules_, log);
  }
  void derive() override {}
  [[nodiscard]] bool is_unset() const override { return false; }
  [[nodiscard]] ConfigNode write(WriteMode mode) override {
    return detail::write(member_, rules_.context, mode);
  }
  [[nodiscard]] TypeSchema describe() override { return detail::describe(member_, rules_); }

 private:
  T& member_;
  Rules<Context> rules_;
};

/// A member whose default follows from other keys.
template <class Member, class Default, class Context>
class DerivedValue final : public ConfigValue {
 public:
  using T = typename Member::value_type;
  static constexpr bool kAutomatic = std::is_same_v<Member, Auto<T>>;

  DerivedValue(Member& member,
               const Default& value,
               const Constraint& range,
               const Context& context)
      : member_(member), default_(value), rules_{range, context} {}
  void read(const ConfigNode& node, ReadLog& log) override {
    if (kAutomatic && is_word(node, "auto")) {
      return derive();
    }
    if (!member_) {
      member_.emplace();
    }
    detail::read(node, *member_, rules_, log);
  }
  void derive() override {
    if (member_) {
      return;
    }
    if constexpr (std::invocable<const Default&>) {
      assign(default_());
    } else {
      assign(default_);
    }
  }
  [[nodiscard]] bool is_unset() const override { return !member_ && !kAutomatic; }
  [[nodiscard]] ConfigNode write(WriteMode mode) override {
    return member_ ? detail::write(*member_, rules_.context, mode) : ConfigNode::word("auto");
  }
  [[nodiscard]] TypeSchema describe() override {
    TypeSchema schema = described_fresh<T>(rules_);
    schema.automatic = kAutomatic;
    return schema;
  }

 private:
  void assign(const auto& value) {
    if constexpr (std::same_as<std::remove_cvref_t<decltype(value)>, std::optional<T>>) {
      if (value) {
        member_ = *value;
      }
    } else {
      member_ = static_cast<T>(value);
    }
  }

  Member& member_;
  const Default& default_;
  Rules<Context> rules_;
};

}  // namespace detail

template <class T>
void ConfigVisitor::field(std::string_view key,
                          T& member,
                          std::string_view doc,
                          const Constraint& constraint) {
  const NoContext none;
  detail::MemberValue<T, NoContext> value(member, constraint, none);
  visit({.key = key, .doc = doc}, value);
}

template <class T>
void ConfigVisitor::required(std::string_view key,
                             T& member,
                             std::string_view doc,
                             const Constraint& constraint) {
  const NoContext none;
  detail::MemberValue<T, NoContext> value(member, constraint, none);
  visit({.key = key, .doc = doc, .required = true}, value);
}

template <class T>
void ConfigVisitor::preset(std::string_view key,
                           T& member,
                           std::string_view rule,
                           std::string_view doc,
                           const Constraint& constraint) {
  const NoContext none;
  detail::MemberValue<T, NoContext> value(member, constraint, none);
  visit({.key = key, .doc = doc, .derived = rule}, value);
}

template <class T, class Context>
void ConfigVisitor::field_in(const Context& context,
                             std::string_view key,
                             T& member,
                             std::string_view doc) {
  detail::MemberValue<T, Context> value(member, {}, context);
  visit({.key = key, .doc = doc}, value);
}

template <class T, class Context>
void ConfigVisitor::required_in(const Context& context,
                                std::string_view key,
                                T& member,
                                std::string_view doc) {
  detail::MemberValue<T, Context> value(member, {}, context);
  visit({.key = key, .doc = doc, .required = true}, value);
}

template <template <class> class Member, class T, DefaultOf<T> Default>
requires std::derived_from<Member<T>, std::optional<T>>
void ConfigVisitor::derived(std::string_view key,
                            Member<T>& member,
                            const Default& value,
                            std::string_view rule,
                            std::string_view doc,
                            const Constraint& constraint) {
  const NoContext none;
  detail::DerivedValue<Member<T>, Default, NoContext> derived_value(member, value, constraint,
                                                                    none);
  visit({.key = key, .doc = doc, .derived = rule}, derived_value);
}

template <class Context, class T, DefaultOf<T> Default>
void ConfigVisitor::derived_in(const Context& context,
                               std::string_view key,
                               std::optional<T>& member,
                               const Default& value,
                               std::string_view rule,
                               std::string_view doc) {
  detail::DerivedValue<std::optional<T>, Default, Context> derived_value(member, value, {},
                                                                         context);
  visit({.key = key, .doc = doc, .derived = rule}, derived_value);
}

}  // namespace clausius

#include "core/config_block.h"
