// SPDX-License-Identifier: Apache-2.0
// Declared keys as JSON Schema 2020-12.
#include <algorithm>
#include <cmath>

#include "core/config_help.h"
#include "core/registry.h"

namespace clausius {
namespace {

using Kind = TypeSchema::Kind;

Json schema_of(const TypeSchema& type);

Json of_type(const char* name) {
  Json schema;
  schema.set("type", name);
  return schema;
}

Json reference(const std::string& definition) {
  Json schema;
  schema.set("$ref", "#/$defs/" + definition);
  return schema;
}

Json any_of(Json::Array options) {
  Json schema;
  schema.set("anyOf", std::move(options));
  return schema;
}

Json words_schema(const std::vector<std::string>& words) {
  Json::Array options;
  for (const std::string& word : words) {
    options.emplace_back(word);
  }
  Json schema;
  schema.set("enum", std::move(options));
  return schema;
}

Json number_schema(const char* name, const Constraint& range) {
  const auto bound = [&](double value) {
    return value == std::floor(value) && std::abs(value) < 1e15
               ? Json(static_cast<std::int64_t>(value))
               : Json(value);
  };
  Json schema = of_type(name);
  if (std::isfinite(range.low)) {
    schema.set(range.above_low ? "exclusiveMinimum" : "minimum", bound(range.low));
  }
  if (std::isfinite(range.high)) {
    schema.set("maximum", bound(range.high));
  }
  return schema;
}

Json field_schema(const FieldSchema& field) {
  Json schema = schema_of(field.type);
  schema.set("description",
             field.derived.empty() ? field.doc : field.doc + " (default: " + field.derived + ")");
  if (!field.required && field.derived.empty()) {
    schema.set("default", to_json(field.default_value));
  }
  return schema;
}

// A map with these keys; `kind` where it is one of a choice's.
Json map_schema(const std::vector<FieldSchema>& fields, const std::string& kind = {}) {
  Json properties(Json::Object{});
  Json::Array required;
  if (!kind.empty()) {
    properties.set("kind", words_schema({kind}));
    required.emplace_back("kind");
  }
  for (const FieldSchema& field : fields) {
    properties.set(field.key, field_schema(field));
    if (field.required) {
      required.emplace_back(field.key);
    }
  }
  Json schema = of_type("object");
  schema.set("properties", std::move(properties));
  if (!required.empty()) {
    schema.set("required", std::move(required));
  }
  schema.set("additionalProperties", false);
  return schema;
}

bool works_as_word(const KindSchema& kind) {
  return std::none_of(kind.fields.begin(), kind.fields.end(),
                      [](const FieldSchema& field) { return field.required; });
}

// Bare words and maps. `extra` keys are allowed beside those of a kind.
Json kinds_schema(const std::vector<KindSchema>& kinds,
                  const std::vector<FieldSchema>& extra = {}) {
  std::vector<std::string> words;
  Json::Array options;
  for (const KindSchema& kind : kinds) {
    if (works_as_word(kind)) {
      words.push_back(kind.name);
    }
    std::vector<FieldSchema> fields = kind.fields;
    fields.insert(fields.end(), extra.begin(), extra.end());
    Json schema = map_schema(fields, kind.name);
    schema.set("description", kind.doc);
    options.push_back(std::move(schema));
  }
  if (!words.empty()) {
    options.insert(options.begin(), words_schema(words));
  }
  return any_of(std::move(options));
}

Json list_schema(Json item, std::size_t length) {
  Json schema = of_type("array");
  schema.set("items", std::move(item));
  if (length > 0) {
    schema.set("minItems", static_cast<std::int64_t>(length));
    schema.set("maxItems", static_cast<std::int64_t>(length));
  }
  return schema;
}

Json either_schema(const TypeSchema& type) {
  Json::Array options;
  for (const TypeSchema& part : type.parts) {
    options.push_back(schema_of(part));
  }
  return any_of(std::move(options));
}

Json duration_schema() {
  Json text = of_type("string");
  text.set("pattern", "^[0-9.eE+-]+(%| epochs?| tokens)$");
  return any_of({number_schema("integer", non_negative), std::move(text)});
}

Json bare_schema(const TypeSchema& type) {
  switch (type.kind) {
    case Kind::kFlag:
      return of_type("boolean");
    case Kind::kInteger:
      return number_schema("integer", type.range);
    case Kind::kReal:
      return number_schema("number", type.range);
    case Kind::kText:
    case Kind::kPath:
      return of_type("string");
    case Kind::kDuration:
      return duration_schema();
    case Kind::kWords:
      return words_schema(type.words);
    case Kind::kList:
      return list_schema(schema_of(type.parts.at(0)), type.length);
    case Kind::kMap: {
      Json schema = of_type("object");
      schema.set("propertyNames", schema_of(type.parts.at(0)));
      schema.set("additionalProperties", schema_of(type.parts.at(1)));
      return schema;
    }
    case Kind::kEither:
      return either_schema(type);
    case Kind::kBlock:
      return map_schema(type.fields);
    case Kind::kChoice:
      return type.family.empty() ? kinds_schema(type.kinds) : reference(type.family);
    case Kind::kPattern:
      return any_of({reference(type.parts.at(0).family),
                     list_schema(reference(type.parts.at(0).family + "_entry"), 0)});
  }
  return {};
}

Json schema_of(const TypeSchema& type) {
  Json schema = bare_schema(type);
  if (!type.automatic && !type.nullable) {
    return schema;
  }
  Json::Array options{std::move(schema)};
  if (type.automatic) {
    options.push_back(words_schema({"auto"}));
  }
  if (type.nullable) {
    options.push_back(of_type("null"));
  }
  return any_of(std::move(options));
}

// An entry of a per-layer pattern: a kind with `repeat`, or a nested pattern.
Json entry_schema(const std::string& family, const std::vector<KindSchema>& kinds) {
  FieldSchema repeat{.key = "repeat",
                     .doc = "layers in a row; rest: the layers left over",
                     .type = {},
                     .required = false,
                     .derived = {},
                     .default_value = ConfigNode::number(std::int64_t{1})};
  repeat.type.kind = Kind::kEither;
  repeat.type.parts = {type_schema(Kind::kInteger, at_least(1)), type_schema(Kind::kWords)};
  repeat.type.parts[1].words = {"rest"};
  Json properties;
  properties.set("pattern", list_schema(reference(family + "_entry"), 0));
  properties.set("repeat", field_schema(repeat));
  Json nested = of_type("object");
  nested.set("properties", std::move(properties));
  nested.set("required", Json::Array{"pattern"});
  nested.set("additionalProperties", false);
  return any_of({kinds_schema(kinds, {repeat}), std::move(nested)});
}

}  // namespace

Json json_schema(const std::string& title, const std::vector<FieldSchema>& fields) {
  Json definitions(Json::Object{});
  for (const std::string& family : families_of(fields)) {
    std::vector<KindSchema> kinds;
    for (const std::string_view kind : registry(family).kinds()) {
      kinds.push_back(registry(family).describe(kind));
    }
    definitions.set(family, kinds_schema(kinds));
    definitions.set(family + "_entry", entry_schema(family, kinds));
  }
  Json schema;
  schema.set("$schema", "https://json-schema.org/draft/2020-12/schema");
  schema.set("title", title);
  const Json map = map_schema(fields);
  for (const Json::Member& member : map.object()) {
    schema.set(member.first, member.second);
  }
  schema.set("$defs", std::move(definitions));
  return schema;
}

}  // namespace clausius
