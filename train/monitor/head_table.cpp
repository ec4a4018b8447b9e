// SPDX-License-Identifier: Apache-2.0
// Tables of heads.
#include "train/monitor/head_table.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string_view>

#include <fmt/format.h>

namespace clausius {
namespace {

// Eight heights of a block for shares from 0 to 1; a dot where there is no value.
std::string_view block_of(double share) {
  constexpr std::array<std::string_view, 8> kBlocks = {
      "\xE2\x96\x81", "\xE2\x96\x82", "\xE2\x96\x83", "\xE2\x96\x84",
      "\xE2\x96\x85", "\xE2\x96\x86", "\xE2\x96\x87", "\xE2\x96\x88"};
  if (std::isnan(share)) {
    return ".";
  }
  return kBlocks[static_cast<std::size_t>(std::clamp(share * 8, 0.0, 7.0))];
}

std::size_t most_heads(const HeadTable& table) {
  std::size_t most = 0;
  for (const std::vector<double>& layer : table) {
    most = std::max(most, layer.size());
  }
  return most;
}

std::string header(std::string_view title, std::size_t heads) {
  std::string line = fmt::format("{:<26}", title);
  for (std::size_t head = 0; head < heads; ++head) {
    line += fmt::format("{:>6}", head);
  }
  return line + "\n";
}

std::string row(std::size_t layer, const std::vector<double>& values) {
  std::string line = fmt::format("  layer {:<18}", layer);
  for (const double value : values) {
    line += std::isnan(value) ? fmt::format("{:>6}", "-") : fmt::format("{:>6.3f}", value);
  }
  return line;
}

}  // namespace

HeadTable head_table(const EntropyReport& report, double HeadEntropy::*member) {
  HeadTable table;
  for (const std::vector<HeadEntropy>& heads : report) {
    std::vector<double>& layer = table.emplace_back();
    for (const HeadEntropy& head : heads) {
      layer.push_back(head.*member);
    }
  }
  return table;
}

Json to_json(const HeadTable& table) {
  Json document{Json::Array{}};
  for (const std::vector<double>& layer : table) {
    Json heads;
    for (const double value : layer) {
      heads.push(value);
    }
    document.push(heads);
  }
  return document;
}

HeadTable read_head_table(const Json& document) {
  HeadTable table;
  for (const Json& layer : document.array()) {
    std::vector<double>& heads = table.emplace_back();
    if (layer.is_null()) {
      continue;
    }
    for (const Json& value : layer.array()) {
      heads.push_back(value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.number());
    }
  }
  return table;
}

std::string entropy_text(const HeadTable& nats, const HeadTable& normalized) {
  const std::size_t heads = most_heads(nats);
  if (heads == 0) {
    return {};
  }
  std::string text = header("entropy in nats     head", heads);
  for (std::size_t layer = 0; layer < nats.size(); ++layer) {
    text += row(layer, nats[layer]) + "\n";
  }
  text += header("share of the attainable", heads);
  for (std::size_t layer = 0; layer < normalized.size(); ++layer) {
    text += row(layer, normalized[layer]) + "  ";
    for (const double share : normalized[layer]) {
      text += block_of(share);
    }
    text += "\n";
  }
  return text;
}

double mean_of(const std::vector<double>& heads) {
  double sum = 0;
  double count = 0;
  for (const double value : heads) {
    if (!std::isnan(value)) {
      sum += value;
      count += 1;
    }
  }
  return count > 0 ? sum / count : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace clausius
