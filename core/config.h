// SPDX-License-Identifier: Apache-2.0
// How a struct declares its recipe keys: one member and one line of `visit` a knob.
//
//   struct RmsNormConfig {
//     std::int64_t dim = 0;
//     double eps = 1e-5;
//     void visit(ConfigVisitor& v) {
//       v.required("dim", dim, "features normalised together", positive);
//       v.field("eps", eps, "added to the mean square before the root", non_negative);
//     }
//   };
//
// That line gives strict reading, defaults, ranges, messages, help, JSON Schema and the resolved
// recipe. `visit` declares the same keys whatever the values are. Where defaults depend on the
// surroundings it takes a second argument, the context (a mixer's LayerShape), which is all zeros
// when only the schema is wanted. A struct may also have `void validate(const ConfigCheck&[, const
// Context&]) const` for rules that involve several keys.
//
// Members: bool, int64, double, std::string, std::filesystem::path (core/config_path.h), Duration;
// enums with `words_of`; std::optional<T> (`null` = without) and Auto<T> (`auto`); std::vector,
// std::array<T, n>, OneOrMany<T>, std::map; structs with `visit` (blocks; std::optional ones are on
// by presence); std::variant of values (`real/word`) or of structs with `kKind` (a choice with
// closed kinds); Choice<Base> and Pattern<Base> (core/registry.h, kinds from a registry).
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/config_node.h"
#include "core/config_schema.h"

namespace clausius {

/// A value, or left to the program (`auto`).
template <class T>
struct Auto : std::optional<T> {
  using std::optional<T>::optional;
  [[nodiscard]] bool is_auto() const { return !this->has_value(); }
};

/// A list that may be written as its only entry.
template <class T>
struct OneOrMany : std::vector<T> {
  using std::vector<T>::vector;
};

/// The words of an enum, in the order of its enumerators from 0. Beside the enum, for
/// argument-dependent lookup:
///   enum class Place { kPre, kPost };
///   constexpr auto words_of(Place) { return words("pre", "post"); }
template <class... Words>
constexpr auto words(const Words&... list) {
  return std::array<std::string_view, sizeof...(Words)>{std::string_view(list)...};
}

template <class E>
concept WordEnum = std::is_enum_v<E> && requires(E e) {
  words_of(e);
};

template <WordEnum E>
[[nodiscard]] constexpr std::string_view word_of(E value) {
  return words_of(value)[static_cast<std::size_t>(value)];
}

/// For blocks and choices without surroundings.
struct NoContext {};

/// What writing does with defaults that follow from other keys: leaves them out, or puts in their
/// values.
enum class WriteMode { kAsSet, kResolved };

/// What reading has to say besides errors.
struct ReadLog {
  std::vector<std::string> warnings;
};

/// A member behind a declaration.
class ConfigValue {
 public:
  virtual ~ConfigValue() = default;
  virtual void read(const ConfigNode& node, ReadLog& log) = 0;
  /// Sets a derived default where nothing is set.
  virtual void derive() = 0;
  /// Nothing is set, and there is no word for that.
  [[nodiscard]] virtual bool is_unset() const = 0;
  [[nodiscard]] virtual ConfigNode write(WriteMode mode) = 0;
  [[nodiscard]] virtual TypeSchema describe() = 0;
};

struct Field {
  std::string_view key;
  std::string_view doc;
  bool required = false;
  std::string_view derived{};  // how the default follows from other keys
};

/// Reports rules that involve several keys, at the place where `key` (dotted, relative to the
/// block) was written.
class ConfigCheck {
 public:
  ConfigCheck(const ConfigNode& block, ReadLog& log) : block_(block), log_(log) {}

  template <class... Parts>
  void that(bool holds, std::string_view key, const Parts&... parts) const {
    if (!holds) {
      refuse(key, concat(parts...));
    }
  }
  template <class... Parts>
  void warn_unless(bool holds, std::string_view key, const Parts&... parts) const {
    if (!holds) {
      warn(key, concat(parts...));
    }
  }
  /// Whether the recipe writes the key.
  [[nodiscard]] bool written(std::string_view key) const;

 private:
  [[noreturn]] void refuse(std::string_view key, const std::string& message) const;
  void warn(std::string_view key, const std::string& message) const;
  [[nodiscard]] ConfigNode locate(std::string_view key) const;

  const ConfigNode& block_;
  ReadLog& log_;
};

/// The default of a derived key: a value, or a callable that is only asked when every key before it has been read. One
/// that returns std::optional<T> may leave the key unset: what it follows from is not known yet.
template <class Default, class T>
concept DefaultOf = std::convertible_to<Default, T> || requires(const Default& d) {
  { d() } -> std::convertible_to<std::optional<T>>;
};

class ConfigVisitor {
 public:
  ConfigVisitor() = default;
  ConfigVisitor(const ConfigVisitor&) = delete;
  ConfigVisitor& operator=(const ConfigVisitor&) = delete;
  virtual ~ConfigVisitor() = default;

  /// A key whose default is the value its member has.
  template <class T>
  void field(std::string_view key,
             T& member,
             std::string_view doc,
             const Constraint& constraint = {});
  /// A key that every recipe must give.
  template <class T>
  void required(std::string_view key,
                T& member,
                std::string_view doc,
                const Constraint& constraint = {});

  /// A key whose default was put into its member before reading; `rule` says what it is ("the file's name").
  template <class T>
  void preset(std::string_view key,
              T& member,
              std::string_view rule,
              std::string_view doc,
              const Constraint& constraint = {});

  /// As above, for blocks, choices and lists of them that take a context.
  template <class T, class Context>
  void field_in(const Context& context, std::string_view key, T& member, std::string_view doc);
  template <class T, class Context>
  void required_in(const Context& context, std::string_view key, T& member, std::string_view doc);

  /// A key whose default follows from others; `rule` says how ("model_dim / num_heads"). Reading
  /// fills the member; a config made in code may leave it empty, so layers ask
  /// `member.value_or(..)`. `Member` is std::optional<T> (then `null` is refused) or Auto<T> (then
  /// `auto` means the same as leaving the key out).
  template <template <class> class Member, class T, DefaultOf<T> Default>
  requires std::derived_from<Member<T>, std::optional<T>>
  void derived(std::string_view key,
               Member<T>& member,
               const Default& value,
               std::string_view rule,
               std::string_view doc,
               const Constraint& constraint = {});
  template <class Context, class T, DefaultOf<T> Default>
  void derived_in(const Context& context,
                  std::string_view key,
                  std::optional<T>& member,
                  const Default& value,
                  std::string_view rule,
                  std::string_view doc);

 protected:
  virtual void visit(const Field& field, ConfigValue& value) = 0;
};

}  // namespace clausius

#include "core/config_types.h"
