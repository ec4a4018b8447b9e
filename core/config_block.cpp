// SPDX-License-Identifier: Apache-2.0
// The three visitors over declared keys: strict reading, writing and describing.
#include "core/config_block.h"

#include <algorithm>

namespace clausius {
namespace {

constexpr std::string_view kKindKey = "kind";

class KeyCollector final : public ConfigVisitor {
 public:
  std::vector<std::string_view> keys;

 protected:
  void visit(const Field& field, ConfigValue& /*value*/) override { keys.push_back(field.key); }
};

std::vector<std::string_view> keys_of(BlockRef& block) {
  KeyCollector collector;
  block.visit(collector);
  return collector.keys;
}

bool contains(const std::vector<std::string_view>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// Names that other programs give our keys.
std::string_view our_name(std::string_view foreign) {
  struct Pair {
    std::string_view theirs;
    std::string_view ours;
  };
  static constexpr std::array kNames{Pair{"n_layer", "layers"},
                                     Pair{"num_layers", "layers"},
                                     Pair{"d_model", "model_dim"},
                                     Pair{"hidden_size", "model_dim"},
                                     Pair{"n_embd", "model_dim"},
                                     Pair{"n_head", "num_heads"},
                                     Pair{"heads", "num_heads"},
                                     Pair{"block_size", "context_length"},
                                     Pair{"seq_len", "context_length"},
                                     Pair{"max_seq_len", "context_length"},
                                     Pair{"learning_rate", "lr"},
                                     Pair{"lambda", "weight"},
                                     Pair{"intermediate_size", "hidden_dim"},
                                     Pair{"type", "kind"},
                                     Pair{"name", "kind"}};
  const auto* pair = std::find_if(kNames.begin(), kNames.end(),
                                  [&](const Pair& p) { return p.theirs == foreign; });
  return pair == kNames.end() ? std::string_view() : pair->ours;
}

// "'window' is a key of lucid, softmax, not of lightning" where that is so. Leaves `choice` on
// another kind.
std::string key_of_other_kinds(std::string_view key, ChoiceRef& choice) {
  const std::string kind(choice.kind());
  std::vector<std::string_view> others;
  for (const std::string_view other : choice.kinds()) {
    choice.select(other);
    if (contains(keys_of(choice.block()), key)) {
      others.push_back(other);
    }
  }
  return others.empty() ? "" : concat("'", key, "' is a key of ", join(others), ", not of ", kind);
}

[[noreturn]] void fail_unknown_key(const ConfigNode& item,
                                   const std::vector<std::string_view>& accepted,
                                   ChoiceRef* choice) {
  if (const std::string_view ours = our_name(item.key); contains(accepted, ours)) {
    fail(item, "unknown key; here it is called '", ours, "'; accepted: ", join(accepted));
  }
  if (choice != nullptr) {
    const std::string elsewhere = key_of_other_kinds(item.key, *choice);
    if (!elsewhere.empty()) {
      fail(item, elsewhere, "; accepted: ", join(accepted));
    }
  }
  fail(item, "unknown key", suggestion(item.key, accepted));
}

class Reader final : public ConfigVisitor {
 public:
  Reader(const ConfigNode& node, ReadLog& log) : node_(node), log_(log) {}

 protected:
  void visit(const Field& field, ConfigValue& value) override {
    if (const ConfigNode* item = node_.find(field.key)) {
      return value.read(*item, log_);
    }
    if (field.required) {
      fail(node_, "missing required key '", field.key, "' (", field.doc,
           "): ", phrase(value.describe()));
    }
    value.derive();
  }

 private:
  const ConfigNode& node_;
  ReadLog& log_;
};

class Writer final : public ConfigVisitor {
 public:
  Writer(ConfigNode& node, WriteMode mode) : node_(node), mode_(mode) {}

 protected:
  void visit(const Field& field, ConfigValue& value) override {
    if (mode_ == WriteMode::kResolved) {
      value.derive();
    }
    if (!value.is_unset()) {
      node_.add(field.key, value.write(mode_));
    }
  }

 private:
  ConfigNode& node_;
  WriteMode mode_;
};

class Describer final : public ConfigVisitor {
 public:
  std::vector<FieldSchema> fields;

 protected:
  void visit(const Field& field, ConfigValue& value) override {
    FieldSchema schema{.key = std::string(field.key),
                       .doc = std::string(field.doc),
                       .type = value.describe(),
                       .required = field.required,
                       .derived = std::string(field.derived),
                       .default_value = {}};
    if (!field.required && field.derived.empty()) {
      schema.default_value = value.write(WriteMode::kAsSet);
    }
    fields.push_back(std::move(schema));
  }
};

// The keys of a map node; `choice` if the block is a kind of one.
void read_keys(const ConfigNode& node, BlockRef& block, ChoiceRef* choice, ReadLog& log) {
  std::vector<std::string_view> accepted = keys_of(block);
  if (choice != nullptr) {
    accepted.insert(accepted.begin(), kKindKey);
  }
  for (const ConfigNode& item : node.items) {
    if (!contains(accepted, item.key)) {
      fail_unknown_key(item, accepted, choice);
    }
  }
  Reader reader(node, log);
  block.visit(reader);
  block.validate(ConfigCheck(node, log));
}

ConfigNode empty_map_at(const ConfigNode& node) {
  ConfigNode map = ConfigNode::map();
  map.path = node.path;
  map.location = node.location;
  return map;
}

}  // namespace

bool ConfigCheck::written(std::string_view key) const {
  const ConfigNode* node = &block_;
  while (node != nullptr && !key.empty()) {
    const std::size_t dot = std::min(key.find('.'), key.size());
    node = node->find(key.substr(0, dot));
    key.remove_prefix(std::min(dot + 1, key.size()));
  }
  return node != nullptr;
}

// The node of a dotted key, or as far as it is written.
ConfigNode ConfigCheck::locate(std::string_view key) const {
  const ConfigNode* node = &block_;
  std::string_view rest = key;
  while (!rest.empty()) {
    const std::size_t dot = std::min(rest.find('.'), rest.size());
    const ConfigNode* next = node->find(rest.substr(0, dot));
    if (next == nullptr) {
      break;
    }
    node = next;
    rest.remove_prefix(std::min(dot + 1, rest.size()));
  }
  ConfigNode place;
  place.location = node->location;
  place.path = node->path;
  if (!rest.empty()) {
    place.path += (place.path.empty() ? "" : ".") + std::string(rest);
  }
  return place;
}

void ConfigCheck::refuse(std::string_view key, const std::string& message) const {
  fail_at(locate(key), message);
}

void ConfigCheck::warn(std::string_view key, const std::string& message) const {
  const ConfigNode place = locate(key);
  log_.warnings.push_back(concat(to_string(place.location), ": key '", place.path, "': ", message));
}

void read_block(const ConfigNode& node, BlockRef& block, ReadLog& log) {
  if (node.is_map()) {
    return read_keys(node, block, nullptr, log);
  }
  if (node.is_scalar() && !node.is_null() && !block.short_key().empty()) {
    ConfigNode map = empty_map_at(node);
    map.add(block.short_key(), node);
    return read_keys(map, block, nullptr, log);
  }
  detail::fail_type(node, describe_block_type(block));
}

void read_choice(const ConfigNode& node, ChoiceRef& choice, ReadLog& log) {
  const ConfigNode* kind = node.is_map() ? node.find(kKindKey) : &node;
  if (kind == nullptr) {
    if (choice.kind().empty()) {
      fail(node, "missing required key 'kind'; accepted: ", join(choice.kinds()));
    }
  } else if (!kind->is_scalar() || kind->is_null()) {
    fail(*kind, "expected ", phrase(describe_choice(choice)), ", found ", found(*kind),
         kind->is_null() ? "; write none for off" : "");
  } else if (!contains(choice.kinds(), kind->text)) {
    fail(*kind, "unknown kind '", kind->text, "'", suggestion(kind->text, choice.kinds()));
  } else if (choice.kind() != kind->text) {
    choice.select(kind->text);
  }
  read_keys(node.is_map() ? node : empty_map_at(node), choice.block(), &choice, log);
}

ConfigNode write_block(BlockRef& block, WriteMode mode) {
  ConfigNode node = ConfigNode::map();
  Writer writer(node, mode);
  block.visit(writer);
  return node;
}

ConfigNode write_choice(ChoiceRef& choice, WriteMode mode) {
  if (choice.kind().empty()) {
    return {};
  }
  ConfigNode node = ConfigNode::map();
  node.add(kKindKey, ConfigNode::word(std::string(choice.kind())));
  Writer writer(node, mode);
  choice.block().visit(writer);
  return node;
}

std::vector<FieldSchema> describe_block(BlockRef& block) {
  Describer describer;
  block.visit(describer);
  return std::move(describer.fields);
}

TypeSchema describe_block_type(BlockRef& block) {
  TypeSchema schema = type_schema(TypeSchema::Kind::kBlock);
  schema.fields = describe_block(block);
  if (block.short_key().empty()) {
    return schema;
  }
  TypeSchema either = type_schema(TypeSchema::Kind::kEither);
  for (const FieldSchema& field : schema.fields) {
    if (field.key == block.short_key()) {
      either.parts.push_back(field.type);
    }
  }
  either.parts.push_back(std::move(schema));
  return either;
}

TypeSchema describe_choice(ChoiceRef& choice) {
  TypeSchema schema = type_schema(TypeSchema::Kind::kChoice);
  schema.family = choice.family();
  for (const std::string_view kind : choice.kinds()) {
    schema.words.emplace_back(kind);
    if (schema.family.empty()) {
      choice.select(kind);
      schema.kinds.push_back(
          {std::string(kind), std::string(choice.doc()), describe_block(choice.block())});
    }
  }
  return schema;
}

}  // namespace clausius
