// SPDX-License-Identifier: Apache-2.0
// Types of recipe values in words and in the notation of the recipe pages.
#include "core/config_schema.h"

#include <cmath>

namespace clausius {
namespace {

using Kind = TypeSchema::Kind;

std::string number(double value) {
  return value == std::floor(value) && std::abs(value) < 1e15
             ? std::to_string(static_cast<std::int64_t>(value))
             : ConfigNode::number(value).text;
}

std::string range_notation(const Constraint& range) {
  std::string text;
  if (std::isfinite(range.low) && std::isfinite(range.high)) {
    return concat(" ", number(range.low), "..", number(range.high));
  }
  if (std::isfinite(range.low)) {
    return range.above_low ? " >" + number(range.low) : " " + number(range.low) + "+";
  }
  return std::isfinite(range.high) ? " <=" + number(range.high) : "";
}

std::string range_phrase(const Constraint& range) {
  if (std::isfinite(range.low) && std::isfinite(range.high) && !range.above_low) {
    return concat(" from ", number(range.low), " to ", number(range.high));
  }
  std::string text;
  if (std::isfinite(range.low)) {
    text = (range.above_low ? " > " : " >= ") + number(range.low);
  }
  if (std::isfinite(range.high)) {
    text += (text.empty() ? " <= " : " and <= ") + number(range.high);
  }
  return text;
}

std::string joined(const std::vector<std::string>& texts, std::string_view between) {
  std::string all;
  for (const std::string& text : texts) {
    all.append(all.empty() ? "" : between).append(text);
  }
  return all;
}

std::string each(const std::vector<TypeSchema>& types,
                 std::string (*form)(const TypeSchema&),
                 std::string_view between) {
  std::vector<std::string> texts;
  texts.reserve(types.size());
  for (const TypeSchema& type : types) {
    texts.push_back(form(type));
  }
  return joined(texts, between);
}

std::string bare_notation(const TypeSchema& type) {
  switch (type.kind) {
    case Kind::kFlag:
      return "flag";
    case Kind::kInteger:
      return "int" + range_notation(type.range);
    case Kind::kReal:
      return type.range.low == 0.0 && type.range.high == 1.0 && !type.range.above_low
                 ? "share"
                 : "real" + range_notation(type.range);
    case Kind::kText:
      return "text";
    case Kind::kPath:
      return "path";
    case Kind::kDuration:
      return "duration";
    case Kind::kWords:
      return joined(type.words, "/");
    case Kind::kList:
      return "[" + notation(type.parts.at(0)) + "]";
    case Kind::kMap:
      return "{" + each(type.parts, notation, ": ") + "}";
    case Kind::kEither:
      return each(type.parts, notation, "/");
    case Kind::kBlock:
      return "block";
    case Kind::kChoice:
      return "choice";
    case Kind::kPattern:
      return "choice or pattern";
  }
  return {};
}

std::string bare_phrase(const TypeSchema& type) {
  switch (type.kind) {
    case Kind::kFlag:
      return "true or false";
    case Kind::kInteger:
      return "an integer" + range_phrase(type.range);
    case Kind::kReal:
      return "a number" + range_phrase(type.range);
    case Kind::kText:
      return "text";
    case Kind::kPath:
      return "a path";
    case Kind::kDuration:
      return "a duration (100, 5%, 2 epochs or 1.0e9 tokens)";
    case Kind::kWords:
      return type.words.size() == 1 ? "'" + type.words[0] + "'"
                                    : "one of " + joined(type.words, ", ");
    case Kind::kList:
      return (type.length == 0 ? "a list" : concat("a list of ", type.length, " entries")) +
             ", each " + phrase(type.parts.at(0));
    case Kind::kMap:
    case Kind::kBlock:
      return "a map";
    case Kind::kEither:
      return each(type.parts, phrase, " or ");
    case Kind::kChoice:
      return "one of " + joined(type.words, ", ") + ", or a map with one of them as its 'kind'";
    case Kind::kPattern:
      return phrase(type.parts.at(0)) + ", or a list of these";
  }
  return {};
}

}  // namespace

TypeSchema type_schema(TypeSchema::Kind kind, const Constraint& range) {
  TypeSchema schema;
  schema.kind = kind;
  schema.range = range;
  return schema;
}

std::string notation(const TypeSchema& type) {
  return (type.automatic ? "auto/" : "") + bare_notation(type) + (type.nullable ? "?" : "");
}

std::string phrase(const TypeSchema& type) {
  return (type.automatic ? "auto or " : "") + bare_phrase(type) +
         (type.nullable ? ", or null" : "");
}

}  // namespace clausius
