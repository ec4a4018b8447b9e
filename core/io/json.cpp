// SPDX-License-Identifier: Apache-2.0
// JSON values over nlohmann's parser and string escapes.
#include "core/io/json.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <unordered_set>

#include <nlohmann/json.hpp>

#include "core/config.h"

namespace clausius {
namespace {

// Builds values from the parser's events.
class Builder final : public nlohmann::json_sax<nlohmann::json> {
 public:
  Json root;
  std::string problem;

  bool null() override { return add(Json()); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(std::int64_t{value}); }
  bool number_unsigned(number_unsigned_t value) override {
    const bool fits = value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    return fits ? add(static_cast<std::int64_t>(value)) : add(static_cast<double>(value));
  }
  bool number_float(number_float_t value, const string_t& /*text*/) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t& /*value*/) override { return false; }
  bool start_object(std::size_t /*size*/) override { return open(Json(Json::Object{})); }
  bool key(string_t& value) override {
    if (!open_.back().keys.insert(value).second) {
      problem = "the key '" + value + "' stands twice in one object";
      return false;
    }
    open_.back().key = std::move(value);
    return true;
  }
  bool end_object() override { return close(); }
  bool start_array(std::size_t /*size*/) override { return open(Json(Json::Array{})); }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t /*position*/,
                   const std::string& /*last_token*/,
                   const nlohmann::detail::exception& error) override {
    problem = error.what();
    return false;
  }

 private:
  static constexpr std::size_t kMostLevels = 1000;

  struct Open {
    Json value;
    std::string key{};
    std::unordered_set<std::string> keys{};
  };

  bool add(Json value) {
    if (open_.empty()) {
      root = std::move(value);
    } else if (open_.back().value.is_array()) {
      open_.back().value.push(std::move(value));
    } else {
      open_.back().value.set(open_.back().key, std::move(value));
    }
    return true;
  }
  bool open(Json value) {
    if (open_.size() == kMostLevels) {
      problem = "more than 1000 levels";
      return false;
    }
    open_.push_back({std::move(value)});
    return true;
  }
  bool close() {
    Json value = std::move(open_.back().value);
    open_.pop_back();
    return add(std::move(value));
  }

  std::vector<Open> open_;
};

std::string escaped(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string number_text(double value) {
  std::array<char, 32> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  const std::string text(buffer.data(), end);
  return !std::isfinite(value)                           ? "null"
         : text.find_first_of(".e") == std::string::npos ? text + ".0"
                                                         : text;
}

void write(const Json& value, int indent, int level, std::string& out);

// `each` writes element i.
template <class Each>
void write_items(std::size_t count,
                 char open,
                 char close,
                 int indent,
                 int level,
                 std::string& out,
                 const Each& each) {
  const auto new_line = [&](int at) {
    if (indent >= 0) {
      out += '\n' + std::string(static_cast<std::size_t>(indent * at), ' ');
    }
  };
  out += open;
  for (std::size_t i = 0; i < count; ++i) {
    out += i == 0 ? "" : ",";
    new_line(level + 1);
    each(i);
  }
  if (count > 0) {
    new_line(level);
  }
  out += close;
}

void write(const Json& value, int indent, int level, std::string& out) {
  if (value.is_null()) {
    out += "null";
  } else if (value.is_flag()) {
    out += value.flag() ? "true" : "false";
  } else if (value.is_integer()) {
    out += std::to_string(value.integer());
  } else if (value.is_number()) {
    out += number_text(value.number());
  } else if (value.is_text()) {
    out += escaped(value.text());
  } else if (value.is_array()) {
    const Json::Array& items = value.array();
    write_items(items.size(), '[', ']', indent, level, out,
                [&](std::size_t i) { write(items[i], indent, level + 1, out); });
  } else {
    const Json::Object& members = value.object();
    write_items(members.size(), '{', '}', indent, level, out, [&](std::size_t i) {
      out += escaped(members[i].first) + (indent >= 0 ? ": " : ":");
      write(members[i].second, indent, level + 1, out);
    });
  }
}

}  // namespace

Json Json::parse(std::string_view text, std::string_view source) {
  Builder builder;
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &builder)) {
    throw DataError(concat(source, ": not valid JSON: ", builder.problem));
  }
  return std::move(builder.root);
}

std::string Json::dump(int indent) const {
  std::string out;
  write(*this, indent, 0, out);
  return out;
}

template <class T>
const T& Json::get(std::string_view wanted) const {
  const T* value = std::get_if<T>(&value_);
  CLS_CHECK(value != nullptr, DataError, "JSON: expected ", wanted, ", found ",
            dump().substr(0, 40));
  return *value;
}

bool Json::flag() const {
  return get<bool>("true or false");
}
std::int64_t Json::integer() const {
  return get<std::int64_t>("an integer");
}
double Json::number() const {
  return is_integer() ? static_cast<double>(integer()) : get<double>("a number");
}
const std::string& Json::text() const {
  return get<std::string>("a string");
}
const Json::Array& Json::array() const {
  return get<Array>("an array");
}
const Json::Object& Json::object() const {
  return get<Object>("an object");
}

const Json* Json::find(std::string_view key) const {
  const Object& members = object();
  const auto member =
      std::find_if(members.begin(), members.end(), [&](const Member& m) { return m.first == key; });
  return member == members.end() ? nullptr : &member->second;
}

const Json& Json::at(std::string_view key) const {
  const Json* member = find(key);
  CLS_CHECK(member != nullptr, DataError, "JSON: the key '", key, "' is missing");
  return *member;
}

Json& Json::set(std::string_view key, Json value) {
  if (is_null()) {
    value_ = Object{};
  }
  static_cast<void>(object());
  return std::get<Object>(value_).emplace_back(key, std::move(value)).second;
}

Json& Json::push(Json value) {
  if (is_null()) {
    value_ = Array{};
  }
  static_cast<void>(array());
  return std::get<Array>(value_).emplace_back(std::move(value));
}

Json to_json(const ConfigNode& node) {
  if (node.is_list()) {
    Json::Array items;
    std::transform(node.items.begin(), node.items.end(), std::back_inserter(items), to_json);
    return items;
  }
  if (node.is_map()) {
    Json::Object members;
    for (const ConfigNode& item : node.items) {
      members.emplace_back(item.key, to_json(item));
    }
    return members;
  }
  switch (scalar_type(node)) {
    case ScalarType::kNull:
      return {};
    case ScalarType::kFlag:
      return node.text == "true";
    case ScalarType::kInteger: {
      std::int64_t value = 0;
      ConfigType<std::int64_t>::read(node, value, {});
      return value;
    }
    case ScalarType::kReal:
      return std::stod(node.text);
    case ScalarType::kText:
      return node.text;
  }
  return {};
}

}  // namespace clausius
