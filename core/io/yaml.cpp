// SPDX-License-Identifier: Apache-2.0
// Builds ConfigNode trees from the events of yaml-cpp's parser, with the strictness that recipes
// are read with.
#include "core/io/yaml.h"

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>
#include <utility>
#include <vector>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

namespace clausius {
namespace {

constexpr std::size_t kMostLevels = 64;
constexpr std::size_t kMostNodes = 100'000;
constexpr std::size_t kMostKeys = 1000;  // of one map
constexpr std::size_t kMostBytes = std::size_t{1} << 20;

// Text that is no YAML is said to be that, not what its first events look like.
class SyntaxCheck final : public YAML::EventHandler {
 public:
  using Mark = YAML::Mark;
  using Anchor = YAML::anchor_t;
  using Style = YAML::EmitterStyle::value;
  void OnDocumentStart(const Mark& /*mark*/) override {}
  void OnDocumentEnd() override {}
  void OnNull(const Mark& /*mark*/, Anchor /*anchor*/) override {}
  void OnAlias(const Mark& /*mark*/, Anchor /*anchor*/) override {}
  void OnScalar(const Mark& /*mark*/,
                const std::string& /*tag*/,
                Anchor /*anchor*/,
                const std::string& /*value*/) override {}
  void OnSequenceStart(const Mark& /*mark*/,
                       const std::string& /*tag*/,
                       Anchor /*anchor*/,
                       Style /*style*/) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const Mark& /*mark*/,
                  const std::string& /*tag*/,
                  Anchor /*anchor*/,
                  Style /*style*/) override {}
  void OnMapEnd() override {}
};

class TreeBuilder final : public YAML::EventHandler {
 public:
  TreeBuilder(std::string_view text, const std::shared_ptr<const ConfigSource>& source)
      : text_(text), source_(source) {}

  std::optional<ConfigNode> root;

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (root) {
      fail_here(mark, "a second document; one file holds one recipe");
    }
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (expects_key()) {
      fail_here(mark, "an empty key");
    }
    if (!is_written_null(mark)) {
      const bool has_key = !open_.empty() && open_.back().node.is_map();
      fail_here(has_key ? open_.back().key_mark : mark,
                "empty value" + (has_key ? " of '" + open_.back().key + "'" : "") +
                    "; write null for none, {} for a block with its defaults");
    }
    add(mark, anchor, ConfigNode());
  }

  void OnScalar(const YAML::Mark& mark,
                const std::string& tag,
                YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_tag(mark, tag);
    if (expects_key()) {
      return open_key(mark, value);
    }
    ConfigNode node = ConfigNode::scalar(value);
    node.quoted = tag == "!";
    add(mark, anchor, std::move(node));
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (expects_key()) {
      fail_here(mark, "an alias as a key");
    }
    const auto target = anchors_.find(anchor);
    if (target == anchors_.end()) {
      fail_here(mark, "an alias inside its own anchor");
    }
    const Anchored& anchored = target->second;
    if (open_.size() + anchored.levels > kMostLevels) {
      fail_here(mark, "more than 64 levels");
    }
    count(mark, anchored.nodes);
    place(mark, anchored.node);
  }

  void OnSequenceStart(const YAML::Mark& mark,
                       const std::string& tag,
                       YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    open(mark, tag, anchor, ConfigNode::list());
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark,
                  const std::string& tag,
                  YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    open(mark, tag, anchor, ConfigNode::map());
  }
  void OnMapEnd() override { close(); }

 private:
  // A list or map whose end has not come yet.
  struct Open {
    ConfigNode node;
    YAML::Mark mark;
    YAML::anchor_t anchor = 0;
    std::size_t nodes_before = 0;
    bool has_key = false;  // of a map: the key came, its value did not
    std::string key{};
    YAML::Mark key_mark{};
    std::size_t levels = 1;
  };
  struct Anchored {
    ConfigNode node;
    std::size_t nodes = 1;
    std::size_t levels = 0;
  };

  [[nodiscard]] ConfigLocation location(const YAML::Mark& mark) const {
    return {source_, mark.line + 1, mark.column + 1};
  }
  [[noreturn]] void fail_here(const YAML::Mark& mark, const std::string& message) const {
    throw ConfigError(to_string(location(mark)) + ": " + message);
  }
  void refuse_tag(const YAML::Mark& mark, const std::string& tag) const {
    if (!tag.empty() && tag != "?" && tag != "!") {
      fail_here(mark, "the tag '" + tag + "'; recipes have none");
    }
  }
  // yaml-cpp reports `key:` and `key: null` alike.
  [[nodiscard]] bool is_written_null(const YAML::Mark& mark) const {
    const std::string_view rest =
        text_.substr(std::min(static_cast<std::size_t>(mark.pos), text_.size()));
    return rest.starts_with('~') || rest.starts_with("null") || rest.starts_with("Null") ||
           rest.starts_with("NULL");
  }
  [[nodiscard]] bool expects_key() const {
    return !open_.empty() && open_.back().node.is_map() && !open_.back().has_key;
  }

  void open_key(const YAML::Mark& mark, const std::string& key) {
    Open& map = open_.back();
    if (key == "<<") {
      fail_here(mark, "the merge key '<<'; write the keys out, or let the recipe extend another");
    }
    if (key.empty()) {
      fail_here(mark, "an empty key");
    }
    if (const ConfigNode* first = map.node.find(key)) {
      fail_here(mark, "duplicate key '" + key + "'; it is also in line " +
                          std::to_string(first->location.line));
    }
    if (map.node.items.size() == kMostKeys) {
      fail_here(mark, "more than 1000 keys in one map");
    }
    map.has_key = true;
    map.key = key;
    map.key_mark = mark;
  }

  void count(const YAML::Mark& mark, std::size_t nodes) {
    nodes_ += nodes;
    if (nodes_ > kMostNodes) {
      fail_here(mark, "more than 100000 nodes");
    }
  }

  void open(const YAML::Mark& mark,
            const std::string& tag,
            YAML::anchor_t anchor,
            ConfigNode node) {
    refuse_tag(mark, tag);
    if (expects_key()) {
      fail_here(mark, "a list or map as a key");
    }
    if (open_.size() == kMostLevels) {
      fail_here(mark, "more than 64 levels");
    }
    open_.push_back(
        {.node = std::move(node), .mark = mark, .anchor = anchor, .nodes_before = nodes_});
    count(mark, 1);
  }

  void close() {
    Open closed = std::move(open_.back());
    open_.pop_back();
    if (closed.anchor != 0) {
      anchors_[closed.anchor] = {closed.node, nodes_ - closed.nodes_before, closed.levels};
    }
    if (!open_.empty()) {
      open_.back().levels = std::max(open_.back().levels, closed.levels + 1);
    }
    place(closed.mark, std::move(closed.node));
  }

  void add(const YAML::Mark& mark, YAML::anchor_t anchor, ConfigNode node) {
    count(mark, 1);
    if (anchor != 0) {
      anchors_[anchor] = {node, 1, 0};
    }
    place(mark, std::move(node));
  }

  void place(const YAML::Mark& mark, ConfigNode node) {
    node.location = location(mark);
    if (open_.empty()) {
      root = std::move(node);
      return;
    }
    Open& parent = open_.back();
    if (parent.node.is_map()) {
      node.location = location(parent.key_mark);
      node.key = std::exchange(parent.key, {});
      parent.has_key = false;
    }
    parent.node.items.push_back(std::move(node));
  }

  std::string_view text_;
  const std::shared_ptr<const ConfigSource>& source_;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, Anchored> anchors_;
  std::size_t nodes_ = 0;
};

bool is_plain_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view("_./-+% *").find(c) != std::string_view::npos;
}

// Reads as the same text in every YAML reader, 1.1 ones too.
bool is_safe_plain(std::string_view text) {
  static constexpr std::string_view kOldFlags[] = {"y",  "n",   "yes",  "no",
                                                   "on", "off", "true", "false"};
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  // 2026-01-31 and 1_000 are no text to a YAML 1.1 reader; 5% and 2 epochs are.
  if (!text.empty() && text[0] >= '0' && text[0] <= '9' &&
      text.find_first_of(" %") == std::string_view::npos) {
    return false;
  }
  const bool starts_well = !text.empty() && (text[0] == '/' || text[0] == '.' || text[0] == '_' ||
                                             (is_plain_character(text[0]) && text[0] >= '0'));
  return starts_well && text.back() != ' ' &&
         std::all_of(text.begin(), text.end(), is_plain_character) &&
         std::find(std::begin(kOldFlags), std::end(kOldFlags), lower) == std::end(kOldFlags);
}

std::string quoted(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string scalar_text(const ConfigNode& node) {
  ConfigNode plain = node;
  plain.quoted = false;
  const bool is_text = scalar_type(node) == ScalarType::kText;
  const bool reads_as_text = scalar_type(plain) == ScalarType::kText && is_safe_plain(node.text);
  return is_text && !reads_as_text ? quoted(node.text) : node.text;
}

bool is_flow(const ConfigNode& node) {
  return node.items.empty() ||
         (node.is_list() && std::all_of(node.items.begin(), node.items.end(),
                                        [](const ConfigNode& n) { return n.is_scalar(); }));
}

std::string flow_text(const ConfigNode& node) {
  if (node.is_scalar()) {
    return scalar_text(node);
  }
  std::string inside;
  for (const ConfigNode& item : node.items) {
    inside += inside.empty() ? "" : ", ";
    inside += node.is_map() ? scalar_text(ConfigNode::word(item.key)) + ": " : "";
    inside += flow_text(item);
  }
  return node.is_list() ? "[" + inside + "]" : "{" + inside + "}";
}

// `first` stands before the first line of the block, where a list's dash already is.
void write_block_style(const ConfigNode& node,
                       std::size_t indent,
                       std::string first,
                       std::string& out) {
  for (const ConfigNode& item : node.items) {
    out += std::exchange(first, std::string(indent, ' '));
    std::string nested_first(indent + 2, ' ');
    if (node.is_map()) {
      out += scalar_text(ConfigNode::word(item.key)) + ":";
    } else {
      out += "-";
    }
    if (is_flow(item)) {
      out += " " + flow_text(item) + "\n";
    } else if (node.is_map()) {
      out += "\n";
      write_block_style(item, indent + 2, nested_first, out);
    } else {
      write_block_style(item, indent + 2, " ", out);
    }
  }
}

void feed(std::string_view text, YAML::EventHandler& handler) {
  std::istringstream stream{std::string(text)};
  YAML::Parser parser(stream);
  while (parser.HandleNextDocument(handler)) {
  }
}

}  // namespace

ConfigNode parse_yaml(std::string_view text, const std::shared_ptr<const ConfigSource>& source) {
  CLS_CHECK(text.size() <= kMostBytes, ConfigError, source->name,
            ": larger than 1 MiB; is this a recipe?");
  text.remove_prefix(text.starts_with("\xEF\xBB\xBF") ? 3 : 0);
  SyntaxCheck syntax;
  TreeBuilder builder(text, source);
  try {
    feed(text, syntax);
    feed(text, builder);
  } catch (const YAML::Exception& error) {
    const ConfigLocation location{source, error.mark.line + 1, error.mark.column + 1};
    throw ConfigError(to_string(location) + ": not valid YAML: " + error.msg);
  }
  CLS_CHECK(builder.root, ConfigError, source->name, ": empty");
  set_paths(*builder.root);
  return std::move(*builder.root);
}

std::string to_yaml(const ConfigNode& node) {
  if (is_flow(node)) {
    return flow_text(node) + "\n";
  }
  std::string out;
  write_block_style(node, 0, "", out);
  return out;
}

std::string to_yaml_line(const ConfigNode& node) {
  return flow_text(node);
}

}  // namespace clausius
