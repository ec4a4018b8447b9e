// SPDX-License-Identifier: Apache-2.0
// Help pages from declared keys.
#include "core/config_help.h"

#include <algorithm>

#include "core/io/yaml.h"
#include "core/registry.h"

namespace clausius {
namespace {

using Kind = TypeSchema::Kind;

constexpr std::size_t kDocColumn = 48;
constexpr std::size_t kWidth = 120;

std::string value_text(const ConfigNode& value) {
  if (value.is_map()) {
    const ConfigNode* kind = value.find("kind");
    return kind != nullptr ? kind->text : "{}";
  }
  if (value.is_list() && std::any_of(value.items.begin(), value.items.end(),
                                     [](const ConfigNode& n) { return !n.is_scalar(); })) {
    std::vector<std::string> texts;
    std::string all;
    for (const ConfigNode& item : value.items) {
      all += (all.empty() ? "" : ", ") + value_text(item);
    }
    return "[" + all + "]";
  }
  std::string text = to_yaml(value);
  text.pop_back();
  return text;
}

std::string declaration(const FieldSchema& field) {
  std::string text = field.key + ": " + notation(field.type);
  if (!field.derived.empty()) {
    text += " = " + field.derived;
  } else if (!field.required) {
    text += " = " + value_text(field.default_value);
  }
  return text;
}

// `left` at `indent`, `right` wrapped beside or below it.
void add_entry(std::size_t indent,
               const std::string& left,
               const std::string& right,
               std::string& out) {
  std::string line = std::string(indent, ' ') + left;
  if (line.size() + 2 > kDocColumn && !right.empty()) {
    out += line + "\n";
    line.clear();
  }
  std::size_t at = 0;
  while (at < right.size()) {
    line.resize(std::max(line.size(), kDocColumn), ' ');
    std::size_t length = std::min(right.size() - at, kWidth - kDocColumn);
    if (at + length < right.size()) {
      const std::size_t space = right.rfind(' ', at + length);
      length = space != std::string::npos && space > at ? space - at : length;
    }
    out += line + right.substr(at, length) + "\n";
    line.clear();
    at += length;
    at += at < right.size() && right[at] == ' ' ? 1 : 0;
  }
  if (!line.empty()) {
    out += line + "\n";
  }
}

void add_fields(std::size_t indent, const std::vector<FieldSchema>& fields, std::string& out);

// What lies below a key: the keys of blocks, the kinds of choices.
void add_inside(std::size_t indent, const TypeSchema& type, std::string& out) {
  add_fields(indent, type.fields, out);
  for (const KindSchema& kind : type.kinds) {
    add_entry(indent, kind.name, kind.doc, out);
    add_fields(indent + 4, kind.fields, out);
  }
  if (!type.family.empty()) {
    std::string names;
    for (const std::string& word : type.words) {
      names += (names.empty() ? "" : ", ") + word;
    }
    add_entry(indent, type.family + " kinds: " + names, "", out);
  }
  // A list may hold what stands before it on its own: a block is spelled out once.
  std::vector<std::string> seen;
  for (const TypeSchema& part : type.parts) {
    std::string inside;
    add_inside(indent, part, inside);
    if (std::find(seen.begin(), seen.end(), inside) == seen.end()) {
      out += inside;
      seen.push_back(inside);
    }
  }
}

void add_fields(std::size_t indent, const std::vector<FieldSchema>& fields, std::string& out) {
  for (const FieldSchema& field : fields) {
    add_entry(indent, declaration(field), field.required ? "(required) " + field.doc : field.doc,
              out);
    add_inside(indent + 4, field.type, out);
  }
}

void collect_families(const std::vector<FieldSchema>& fields, std::vector<std::string>& families);

void collect_families(const TypeSchema& type, std::vector<std::string>& families) {
  collect_families(type.fields, families);
  for (const KindSchema& kind : type.kinds) {
    collect_families(kind.fields, families);
  }
  for (const TypeSchema& part : type.parts) {
    collect_families(part, families);
  }
  if (!type.family.empty() &&
      std::find(families.begin(), families.end(), type.family) == families.end()) {
    families.push_back(type.family);
    const RegistryBase& kinds = registry(type.family);
    for (const std::string_view kind : kinds.kinds()) {
      collect_families(kinds.describe(kind).fields, families);
    }
  }
}

void collect_families(const std::vector<FieldSchema>& fields, std::vector<std::string>& families) {
  for (const FieldSchema& field : fields) {
    collect_families(field.type, families);
  }
}

}  // namespace

std::string help_text(const std::vector<FieldSchema>& fields) {
  std::string out;
  add_fields(0, fields, out);
  return out;
}

std::string help_text(const std::string& family, const KindSchema& kind) {
  std::string out = family + " " + kind.name + "\n" + kind.doc + "\n";
  add_fields(2, kind.fields, out);
  return out;
}

std::vector<std::string> families_of(const std::vector<FieldSchema>& fields) {
  std::vector<std::string> families;
  collect_families(fields, families);
  return families;
}

std::vector<FieldSchema> keys_below(const TypeSchema& type) {
  std::vector<FieldSchema> keys;
  const auto add = [&](const std::vector<FieldSchema>& fields) {
    for (const FieldSchema& field : fields) {
      if (std::none_of(keys.begin(), keys.end(),
                       [&](const FieldSchema& k) { return k.key == field.key; })) {
        keys.push_back(field);
      }
    }
  };
  add(type.fields);
  for (const KindSchema& kind : type.kinds) {
    add(kind.fields);
  }
  if (!type.family.empty()) {
    const RegistryBase& kinds = registry(type.family);
    for (const std::string_view kind : kinds.kinds()) {
      add(kinds.describe(kind).fields);
    }
  }
  for (const TypeSchema& part : type.parts) {
    add(keys_below(part));
  }
  return keys;
}

}  // namespace clausius
