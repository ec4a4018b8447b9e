// SPDX-License-Identifier: Apache-2.0
// Reading, writing and expanding per-layer patterns.
#include "core/config_pattern.h"

#include <optional>

#include "core/error.h"

namespace clausius {
namespace {

using Entry = PatternLayout::Entry;

std::int64_t length_of(const std::vector<Entry>& entries);

std::int64_t length_once(const Entry& entry) {
  return entry.nested.empty() ? 1 : length_of(entry.nested);
}

// Layers that the entries cover, `rest` counted as none.
std::int64_t length_of(const std::vector<Entry>& entries) {
  std::int64_t length = 0;
  for (const Entry& entry : entries) {
    length += entry.rest ? 0 : entry.repeat * length_once(entry);
  }
  return length;
}

const Entry* rest_of(const std::vector<Entry>& entries) {
  for (const Entry& entry : entries) {
    if (entry.rest) {
      return &entry;
    }
  }
  return nullptr;
}

void append(const std::vector<Entry>& entries,
            std::int64_t rest_repeat,
            std::vector<std::size_t>& layers) {
  for (const Entry& entry : entries) {
    for (std::int64_t i = 0; i < (entry.rest ? rest_repeat : entry.repeat); ++i) {
      if (entry.nested.empty()) {
        layers.push_back(entry.choice);
      } else {
        append(entry.nested, 0, layers);
      }
    }
  }
}

// What is wrong with the layout for that many layers, or nothing; sets how often `rest` repeats.
std::optional<std::string> misfit(const PatternLayout& layout,
                                  std::int64_t layers,
                                  std::int64_t& rest_repeat) {
  const std::int64_t length = length_of(layout.entries);
  if (const Entry* rest = rest_of(layout.entries)) {
    const std::int64_t once = length_once(*rest);
    if (length > layers || (layers - length) % once != 0) {
      return concat("the pattern takes ", length, " layers without its rest of ", once,
                    " each; there are ", layers);
    }
    rest_repeat = (layers - length) / once;
  } else if (length == 0 || layers % length != 0) {
    return concat("the pattern expands to ", length, " layers, which is neither ", layers,
                  " (layers) nor a divisor of it");
  }
  return std::nullopt;
}

void read_repeat(const ConfigNode& node, Entry& entry, bool top) {
  if (detail::is_word(node, "rest")) {
    if (!top) {
      fail(node, "'rest' stands only in the outermost list");
    }
    entry.rest = true;
    return;
  }
  if (!ConfigType<std::int64_t>::fits(node)) {
    fail(node, "expected an integer >= 1 or 'rest', found ", found(node));
  }
  ConfigType<std::int64_t>::read(node, entry.repeat, between(1, 1e6));
}

std::vector<Entry> read_entries(const ConfigNode& list, std::vector<ConfigNode>& leaves, bool top);

Entry read_entry(const ConfigNode& node, std::vector<ConfigNode>& leaves, bool top) {
  Entry entry;
  if (const ConfigNode* repeat = node.find("repeat")) {
    read_repeat(*repeat, entry, top);
  }
  if (const ConfigNode* pattern = node.find("pattern")) {
    for (const ConfigNode& item : node.items) {
      if (item.key != "pattern" && item.key != "repeat") {
        fail(item, "unknown key; accepted: pattern, repeat");
      }
    }
    entry.nested = read_entries(*pattern, leaves, false);
    return entry;
  }
  entry.choice = leaves.size();
  ConfigNode leaf = node;
  std::erase_if(leaf.items, [](const ConfigNode& item) { return item.key == "repeat"; });
  leaves.push_back(std::move(leaf));
  return entry;
}

std::vector<Entry> read_entries(const ConfigNode& list, std::vector<ConfigNode>& leaves, bool top) {
  if (!list.is_list() || list.items.empty()) {
    fail(list, "expected a list with at least one entry, found ",
         list.is_list() ? "an empty list" : found(list));
  }
  std::vector<Entry> entries;
  for (const ConfigNode& item : list.items) {
    const bool second_rest = rest_of(entries) != nullptr;
    entries.push_back(read_entry(item, leaves, top));
    if (second_rest && entries.back().rest) {
      fail(item, "'repeat: rest' may stand once in a pattern");
    }
  }
  return entries;
}

ConfigNode write_entries(const std::vector<Entry>& entries, const std::vector<ConfigNode>& leaves) {
  ConfigNode list = ConfigNode::list();
  for (const Entry& entry : entries) {
    ConfigNode node = ConfigNode::map();
    if (entry.nested.empty()) {
      node = leaves.at(entry.choice);
    } else {
      node.add("pattern", write_entries(entry.nested, leaves));
    }
    if (entry.rest) {
      node.add("repeat", ConfigNode::word("rest"));
    } else if (entry.repeat != 1) {
      node.add("repeat", ConfigNode::number(entry.repeat));
    }
    list.items.push_back(std::move(node));
  }
  return list;
}

}  // namespace

std::vector<std::size_t> PatternLayout::expand(std::int64_t layers) const {
  if (single) {
    return std::vector<std::size_t>(static_cast<std::size_t>(layers), 0);
  }
  std::int64_t rest_repeat = 0;
  if (const auto problem = misfit(*this, layers, rest_repeat)) {
    throw ConfigError(*problem);
  }
  std::vector<std::size_t> expanded;
  while (static_cast<std::int64_t>(expanded.size()) < layers) {
    append(entries, rest_repeat, expanded);
  }
  return expanded;
}

PatternLayout read_pattern(const ConfigNode& node, std::vector<ConfigNode>& leaves) {
  PatternLayout layout;
  if (!node.is_list()) {
    leaves.push_back(node);
    return layout;
  }
  layout.single = false;
  layout.entries = read_entries(node, leaves, true);
  return layout;
}

ConfigNode write_pattern(const PatternLayout& layout, const std::vector<ConfigNode>& leaves) {
  if (layout.single) {
    return leaves.empty() ? ConfigNode{} : leaves[0];
  }
  return write_entries(layout.entries, leaves);
}

void check_pattern(const ConfigNode& node, const PatternLayout& layout, std::int64_t layers) {
  std::int64_t rest_repeat = 0;
  if (!layout.single) {
    if (const auto problem = misfit(layout, layers, rest_repeat)) {
      fail_at(node, *problem);
    }
  }
}

}  // namespace clausius
