// SPDX-License-Identifier: Apache-2.0
// Registries: a family of things (mixers, norms, optimizers, ..) whose kinds register themselves by
// name with a config.
//
//   // beside the base class
//   template <>
//   struct RegistryTraits<SequenceMixer> {
//     static constexpr std::string_view kFamily = "mixer";
//     using Context = LayerShape;  // handed to the configs' visit and validate; NoContext if there
//     is none using Make = std::unique_ptr<SequenceMixer>(const LayerShape&, const InitStream&);
//     using Facts = MixerTraits;   // optional: what `facts()` of every config returns, known
//     before anything is made
//   };
//   // in softmax_attention.cpp: the constructor takes (config, shape, init)
//   CLS_REGISTER(SequenceMixer, "softmax", SoftmaxAttention, SoftmaxAttentionConfig);
//   // where a recipe picks one
//   Choice<SequenceMixer> mixer{"softmax"};
//   v.field_in(shape, "mixer", mixer, "what mixes positions");
//   auto layer = mixer.make(shape, init);
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>
#include <vector>

#include "core/config.h"
#include "core/macros.h"

namespace clausius {

template <class Base>
struct RegistryTraits;

/// What help pages and the schema read.
class RegistryBase {
 public:
  explicit RegistryBase(std::string_view family);
  RegistryBase(const RegistryBase&) = delete;
  RegistryBase& operator=(const RegistryBase&) = delete;
  virtual ~RegistryBase() = default;

  [[nodiscard]] std::string_view family() const { return family_; }
  /// In alphabetical order.
  [[nodiscard]] virtual std::vector<std::string_view> kinds() const = 0;
  [[nodiscard]] virtual KindSchema describe(std::string_view kind) const = 0;

 private:
  std::string_view family_;
};

/// Every family with a registered kind, in alphabetical order.
[[nodiscard]] std::vector<const RegistryBase*> registries();
/// ConfigError if there is none.
[[nodiscard]] const RegistryBase& registry(std::string_view family);

namespace detail {

template <class Base, class Make>
class KindOf;

/// The config of some kind, type erased.
template <class Base, class Product, class... Args>
class KindOf<Base, Product(Args...)> {
 public:
  using Context = typename RegistryTraits<Base>::Context;

  virtual ~KindOf() = default;
  [[nodiscard]] virtual std::unique_ptr<KindOf> clone() const = 0;
  [[nodiscard]] virtual std::string_view doc() const = 0;
  [[nodiscard]] virtual std::unique_ptr<BlockRef> block(const Context& context) = 0;
  [[nodiscard]] virtual Product make(Args... args) const = 0;
  /// Fills the RegistryTraits<Base>::Facts behind `facts`.
  virtual void facts(void* facts, const Context& context) const = 0;
};

template <class Base>
using Kind = KindOf<Base, typename RegistryTraits<Base>::Make>;

/// A kind whose config type is known.
template <class Base, class Config>
class KindWith : public Kind<Base> {
 public:
  Config config;
};

template <class Base, class Type, class Config, class Make>
class KindEntry;

template <class Base, class Type, class Config, class Product, class... Args>
class KindEntry<Base, Type, Config, Product(Args...)> final : public KindWith<Base, Config> {
 public:
  using Context = typename RegistryTraits<Base>::Context;
  static_assert(
      requires { Config::kDoc; },
      "a registered config has `static constexpr std::string_view kDoc`, its sentence on help "
      "pages");

  [[nodiscard]] std::unique_ptr<Kind<Base>> clone() const override {
    return std::make_unique<KindEntry>(*this);
  }
  [[nodiscard]] std::string_view doc() const override { return Config::kDoc; }
  [[nodiscard]] std::unique_ptr<BlockRef> block(const Context& context) override {
    return std::make_unique<BlockOf<Config, Context>>(this->config, context);
  }
  [[nodiscard]] Product make(Args... args) const override {
    return std::make_unique<Type>(this->config, std::forward<Args>(args)...);
  }
  void facts([[maybe_unused]] void* facts, [[maybe_unused]] const Context& context) const override {
    if constexpr (requires { typename RegistryTraits<Base>::Facts; }) {
      using Facts = typename RegistryTraits<Base>::Facts;
      if constexpr (requires { this->config.facts(context); }) {
        *static_cast<Facts*>(facts) = this->config.facts(context);
      } else if constexpr (requires { this->config.facts(); }) {
        *static_cast<Facts*>(facts) = this->config.facts();
      }
    }
  }
};

}  // namespace detail

/// The kinds of one family. Filled before main, then only read.
template <class Base>
class Registry final : public RegistryBase {
 public:
  using Traits = RegistryTraits<Base>;
  using Kind = detail::Kind<Base>;

  static Registry& instance() {
    static Registry registry;
    return registry;
  }

  /// Called by CLS_REGISTER. InternalError if the name is taken.
  template <class Type, class Config>
  bool add(std::string_view kind) {
    CLS_CHECK(find(kind) == entries_.end(), InternalError, "two kinds of ", family(),
              " are called '", kind, "'");
    const auto place = std::upper_bound(
        entries_.begin(), entries_.end(), kind,
        [](std::string_view name, const Entry& entry) { return name < entry.name; });
    entries_.insert(
        place,
        {kind, [] {
           return std::unique_ptr<Kind>(
               std::make_unique<detail::KindEntry<Base, Type, Config, typename Traits::Make>>());
         }});
    return true;
  }

  /// A kind with its defaults. ConfigError naming the nearest kind if there is none of that name.
  [[nodiscard]] std::unique_ptr<Kind> create(std::string_view kind) const {
    const auto entry = find(kind);
    CLS_CHECK(entry != entries_.end(), ConfigError, "unknown ", family(), " '", kind, "'",
              suggestion(kind, kinds()));
    return entry->create();
  }

  [[nodiscard]] std::vector<std::string_view> kinds() const override {
    std::vector<std::string_view> names;
    for (const Entry& entry : entries_) {
      names.push_back(entry.name);
    }
    return names;
  }
  [[nodiscard]] KindSchema describe(std::string_view kind) const override {
    const typename Traits::Context context{};
    const std::unique_ptr<Kind> config = create(kind);
    return {std::string(kind), std::string(config->doc()), describe_block(*config->block(context))};
  }

 private:
  struct Entry {
    std::string_view name;
    std::unique_ptr<Kind> (*create)();
  };

  Registry() : RegistryBase(Traits::kFamily) {}
  [[nodiscard]] auto find(std::string_view kind) const {
    return std::find_if(entries_.begin(), entries_.end(),
                        [&](const Entry& entry) { return entry.name == kind; });
  }

  std::vector<Entry> entries_;
};

/// One kind of a family with its knobs: a value, copied deep.
template <class Base>
class Choice {
 public:
  using Context = typename RegistryTraits<Base>::Context;

  /// Nothing is picked: for keys that recipes must give.
  Choice() = default;
  /// That kind with its defaults; ConfigError if there is none of that name.
  explicit Choice(std::string_view kind)
      : kind_(kind), config_(Registry<Base>::instance().create(kind)) {}
  /// That kind with these knobs; InternalError if the kind's config is another type.
  template <class Config>
  Choice(std::string_view kind, Config config) : Choice(kind) {
    auto* typed = dynamic_cast<detail::KindWith<Base, Config>*>(config_.get());
    CLS_CHECK(typed != nullptr, InternalError, kind, " has another config than ",
              typeid(Config).name());
    typed->config = std::move(config);
  }
  Choice(const Choice& other)
      : kind_(other.kind_), config_(other.config_ ? other.config_->clone() : nullptr) {}
  Choice(Choice&&) noexcept = default;
  Choice& operator=(const Choice& other) {
    Choice copy(other);
    return *this = std::move(copy);
  }
  Choice& operator=(Choice&&) noexcept = default;
  ~Choice() = default;

  /// Empty if nothing is picked.
  [[nodiscard]] std::string_view kind() const { return kind_; }

  /// The knobs if the config is of that type, else null.
  template <class Config>
  [[nodiscard]] const Config* get_if() const {
    const auto* typed = dynamic_cast<const detail::KindWith<Base, Config>*>(config_.get());
    return typed == nullptr ? nullptr : &typed->config;
  }
  template <class Config>
  [[nodiscard]] Config* get_if() {
    return const_cast<Config*>(std::as_const(*this).template get_if<Config>());
  }

  template <class... Args>
  [[nodiscard]] auto make(Args&&... args) const {
    return config().make(std::forward<Args>(args)...);
  }
  /// What is known of the kind with these knobs before it is made.
  [[nodiscard]] auto facts(const Context& context = {}) const {
    typename RegistryTraits<Base>::Facts facts{};
    config().facts(&facts, context);
    return facts;
  }

  [[nodiscard]] std::unique_ptr<BlockRef> block(const Context& context) {
    return config_->block(context);
  }
  [[nodiscard]] std::string_view doc() const { return config().doc(); }

  friend bool operator==(const Choice& a, const Choice& b) { return same_config(a, b); }

 private:
  [[nodiscard]] const detail::Kind<Base>& config() const {
    CLS_CHECK(config_ != nullptr, InternalError, "no kind of ", RegistryTraits<Base>::kFamily,
              " is picked");
    return *config_;
  }

  std::string kind_;
  std::unique_ptr<detail::Kind<Base>> config_;
};

namespace detail {

/// A Choice with the context its configs are visited in; NoContext stands for a context of zeros.
template <class Base>
class RegistryChoice final : public ChoiceRef {
 public:
  using Context = typename RegistryTraits<Base>::Context;

  RegistryChoice(Choice<Base>& value, const Context& context) : value_(value), context_(context) {}
  RegistryChoice(Choice<Base>& value,
                 const NoContext& /*none*/) requires(!std::is_same_v<Context, NoContext>)
      : value_(value) {}
  [[nodiscard]] std::vector<std::string_view> kinds() const override {
    return Registry<Base>::instance().kinds();
  }
  [[nodiscard]] std::string_view kind() const override { return value_.kind(); }
  void select(std::string_view kind) override { value_ = Choice<Base>(kind); }
  [[nodiscard]] std::string_view doc() const override { return value_.doc(); }
  BlockRef& block() override {
    block_ = value_.block(context_);
    return *block_;
  }
  [[nodiscard]] std::string_view family() const override { return RegistryTraits<Base>::kFamily; }

 private:
  Choice<Base>& value_;
  Context context_{};
  std::unique_ptr<BlockRef> block_;
};

}  // namespace detail

template <class Base>
struct ConfigType<Choice<Base>> {
  static bool fits(const ConfigNode& node) { return !node.is_list(); }
  static void read(const ConfigNode& node, Choice<Base>& value, const auto& rules, ReadLog& log) {
    static_assert(std::is_same_v<decltype(rules.context), const typename Choice<Base>::Context&>,
                  "declare this choice with field_in and the context that its family needs");
    detail::RegistryChoice<Base> choice(value, rules.context);
    read_choice(node, choice, log);
  }
  static ConfigNode write(Choice<Base>& value, const auto& context, WriteMode mode) {
    detail::RegistryChoice<Base> choice(value, context);
    return write_choice(choice, mode);
  }
  static TypeSchema describe(const Choice<Base>& value, const auto& rules) {
    Choice<Base> scratch = value;
    detail::RegistryChoice<Base> choice(scratch, rules.context);
    return describe_choice(choice);
  }
};

}  // namespace clausius

/// CLS_REGISTER(SequenceMixer, "softmax", SoftmaxAttention, SoftmaxAttentionConfig); in the kind's
/// own .cpp, inside namespace clausius. `Type` is constructed from (const Config&, the arguments of
/// RegistryTraits<Base>::Make).
#define CLS_REGISTER(Base, kind, ...)                                       \
  [[maybe_unused]] static const bool CLS_CONCAT(registered_, __COUNTER__) = \
      ::clausius::Registry<Base>::instance().add<__VA_ARGS__>(kind)
