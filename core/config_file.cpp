// SPDX-License-Identifier: Apache-2.0
// Inheritance and overrides on untyped trees.
#include "core/config_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "core/io/yaml.h"

namespace clausius {
namespace {

using std::filesystem::path;

bool is_index(std::string_view key) {
  return !key.empty() && key.find_first_not_of("0123456789") == std::string_view::npos;
}

// An override of list entries, {0: .., 2: ..}; files cannot do that.
bool names_entries(const ConfigNode& node) {
  return node.is_map() && node.location.source && !node.location.source->is_file &&
         !node.items.empty() && is_index(node.items[0].key);
}

bool is_bare_word(const ConfigNode& node) {
  return node.is_scalar() && scalar_type(node) == ScalarType::kText;
}

bool names_another_kind(const ConfigNode& parent, const ConfigNode& child) {
  const ConfigNode* theirs = parent.find("kind");
  const ConfigNode* ours = child.find("kind");
  return theirs != nullptr && ours != nullptr && !same_value(*theirs, *ours);
}

void merge_entries(ConfigNode& list, ConfigNode entries) {
  for (ConfigNode& entry : entries.items) {
    const std::size_t index =
        is_index(entry.key) && entry.key.size() < 9 ? std::stoul(entry.key) : list.items.size();
    if (!list.is_list()) {
      fail(entry, "there is no list here that could have an entry ", entry.key);
    }
    if (index >= list.items.size()) {
      fail(entry, "the list has ", list.items.size(), " entries, counted from 0");
    }
    entry.key.clear();
    list.items[index] = merge_configs(std::move(list.items[index]), std::move(entry));
  }
}

void make_choice(ConfigNode& word) {
  ConfigNode kind = word;
  word.kind = ConfigNode::Kind::kMap;
  word.add("kind", std::move(kind));
}

std::string read_text(const path& file, const std::string& name) {
  std::error_code unknown;
  CLS_CHECK(!std::filesystem::is_directory(file, unknown), ConfigError, name,
            ": this is a folder, not a recipe");
  errno = 0;
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  if (stream) {
    text << stream.rdbuf();
  }
  CLS_CHECK(stream && !stream.bad(), ConfigError, name, ": cannot be read: ", std::strerror(errno));
  return std::move(text).str();
}

class Loader {
 public:
  ConfigNode load(const path& file) {
    const path absolute = std::filesystem::weakly_canonical(file);
    open_.push_back(absolute);
    const std::string name = file.string();
    const auto source = std::make_shared<const ConfigSource>(ConfigSource{
        name, std::filesystem::absolute(file).lexically_normal().parent_path().string()});
    ConfigNode tree = with_parents(parse_yaml(read_text(file, name), source), file.parent_path());
    open_.pop_back();
    return tree;
  }

  // `shown` is the folder of the file as messages name it.
  ConfigNode with_parents(ConfigNode tree, const path& shown) {
    const ConfigNode* extends = tree.find("extends");
    if (extends == nullptr) {
      return tree;
    }
    const ConfigNode parent = *extends;
    std::erase_if(tree.items, [](const ConfigNode& item) { return item.key == "extends"; });
    if (parent.is_null()) {
      return tree;
    }
    if (!is_bare_word(parent) || parent.text.empty()) {
      fail(parent, "expected the path of one recipe, found ", found(parent));
    }
    const path file = (shown / parent.text).lexically_normal();
    if (!std::filesystem::exists(file)) {
      fail(parent, "there is no file ", file.string());
    }
    if (std::find(open_.begin(), open_.end(), std::filesystem::weakly_canonical(file)) !=
        open_.end()) {
      fail(parent, "a circle of recipes: ", chain(), file.filename().string());
    }
    return merge_configs(load(file), std::move(tree));
  }

 private:
  [[nodiscard]] std::string chain() const {
    std::string text;
    for (const path& file : open_) {
      text += file.filename().string() + " -> ";
    }
    return text;
  }

  std::vector<path> open_;
};

std::vector<std::string> split_key(std::string_view key, const std::string& where) {
  std::vector<std::string> steps;
  std::size_t begin = 0;
  while (begin <= key.size()) {
    const std::size_t dot = std::min(key.find('.', begin), key.size());
    CLS_CHECK(dot > begin, ConfigError, where, ": the key has an empty part");
    steps.emplace_back(key.substr(begin, dot - begin));
    begin = dot + 1;
  }
  CLS_CHECK(steps[0] != "extends", ConfigError, where, ": only a file can extend another");
  return steps;
}

ConfigOverride parse_override(const std::string& text) {
  const std::size_t equals = text.find('=');
  CLS_CHECK(equals != std::string::npos && equals > 0, ConfigError,
            "command line: expected key=value, found '", text, "'");
  const auto source = std::make_shared<const ConfigSource>(
      ConfigSource{"command line: " + text, std::filesystem::current_path().string(), false});
  ConfigOverride parsed{.key = text.substr(0, equals), .value = {}};
  static_cast<void>(split_key(parsed.key, source->name));
  CLS_CHECK(text.find_first_not_of(" \t\r\n", equals + 1) != std::string::npos, ConfigError,
            source->name, ": no value; write null for none");
  parsed.value = parse_yaml(std::string_view(text).substr(equals + 1), source);
  return parsed;
}

// All overrides as one tree.
ConfigNode override_tree(std::vector<ConfigOverride> overrides) {
  struct Split {
    std::vector<std::string> steps;
    ConfigNode value;
  };
  std::vector<Split> parsed;
  parsed.reserve(overrides.size());
  for (ConfigOverride& item : overrides) {
    std::vector<std::string> steps = split_key(item.key, to_string(item.value.location));
    parsed.push_back({std::move(steps), std::move(item.value)});
  }
  // model.mixer=lucid comes before model.mixer.window=8, in whatever order they were given.
  std::stable_sort(parsed.begin(), parsed.end(),
                   [](const Split& a, const Split& b) { return a.steps.size() < b.steps.size(); });
  ConfigNode root = ConfigNode::map();
  for (Split& item : parsed) {
    const ConfigLocation location = item.value.location;
    ConfigNode* node = &root;
    for (const std::string& step : item.steps) {
      if (is_bare_word(*node)) {
        make_choice(*node);
      }
      ConfigNode* next = node->is_map() ? node->find(step) : nullptr;
      if (!node->is_map() || (next != nullptr && &step == &item.steps.back())) {
        throw ConfigError(to_string(location) + ": this key is already given by '" +
                          to_string((next != nullptr ? *next : *node).location) + "'");
      }
      if (next == nullptr) {
        next = &node->add(step, ConfigNode::map());
        next->location = location;
      }
      node = next;
    }
    item.value.key = node->key;
    *node = std::move(item.value);
  }
  set_paths(root);
  return root;
}

}  // namespace

ConfigNode merge_configs(ConfigNode parent, ConfigNode child) {
  if (names_entries(child) && !parent.is_map()) {
    merge_entries(parent, std::move(child));
    return parent;
  }
  if (!child.is_map()) {
    return child;
  }
  if (is_bare_word(parent)) {
    make_choice(parent);
  }
  if (!parent.is_map() || names_another_kind(parent, child)) {
    return child;
  }
  for (ConfigNode& item : child.items) {
    if (ConfigNode* theirs = parent.find(item.key)) {
      *theirs = merge_configs(std::move(*theirs), std::move(item));
    } else {
      const std::string key = item.key;
      parent.add(key, names_entries(item) ? merge_configs(ConfigNode(), std::move(item))
                                          : std::move(item));
    }
  }
  parent.location = child.location;
  return parent;
}

ConfigNode load_config(const std::filesystem::path& file,
                       const std::vector<std::string>& overrides) {
  return override_config(Loader().load(file), parse_overrides(overrides));
}

ConfigNode parse_config(std::string_view text,
                        const std::shared_ptr<const ConfigSource>& source,
                        const std::vector<std::string>& overrides) {
  return override_config(Loader().with_parents(parse_yaml(text, source), source->directory),
                         parse_overrides(overrides));
}

std::vector<ConfigOverride> parse_overrides(const std::vector<std::string>& texts) {
  std::vector<ConfigOverride> parsed;
  parsed.reserve(texts.size());
  for (const std::string& text : texts) {
    parsed.push_back(parse_override(text));
  }
  return parsed;
}

ConfigNode override_config(ConfigNode tree, std::vector<ConfigOverride> overrides) {
  if (!overrides.empty()) {
    const ConfigLocation location = tree.location;
    tree = merge_configs(std::move(tree), override_tree(std::move(overrides)));
    tree.location = location;
  }
  set_paths(tree);
  return tree;
}

}  // namespace clausius
