// SPDX-License-Identifier: Apache-2.0
// What goes into the events of a run.
#include "train/monitor/tensorboard/tensorboard_log.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "core/io/json.h"
#include "core/io/yaml.h"
#include "train/monitor/head_table.h"
#include "train/monitor/tensorboard/heat_map.h"

namespace clausius {
namespace {

// Leaves of a recipe under their dotted keys; list entries by their number.
void collect_settings(const Json& node, const std::string& path, Json::Object& settings) {
  const auto below = [&](const std::string& name) {
    return path.empty() ? name : path + "." + name;
  };
  if (node.is_object()) {
    for (const auto& [key, member] : node.object()) {
      collect_settings(member, below(key), settings);
    }
  } else if (node.is_array()) {
    for (std::size_t i = 0; i < node.array().size(); ++i) {
      collect_settings(node.array()[i], below(std::to_string(i)), settings);
    }
  } else if (!node.is_null()) {
    settings.emplace_back(path, node);
  }
}

// A code block of Markdown by indentation, which no content can end.
std::string as_code(std::string_view text) {
  std::string block;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    block.append("    ").append(text.substr(begin, end - begin)).push_back('\n');
    begin = end + 1;
  }
  return block;
}

std::vector<double> all_heads(const HeadTable& table) {
  std::vector<double> heads;
  for (const std::vector<double>& layer : table) {
    heads.insert(heads.end(), layer.begin(), layer.end());
  }
  return heads;
}

std::string layer_tag(std::string_view group, std::size_t layer) {
  return fmt::format("{}/layer_{:02}", group, layer);
}

void add_means(Summary& summary, std::string_view group, const HeadTable& table) {
  summary.scalar(fmt::format("{}/all", group), mean_of(all_heads(table)));
  for (std::size_t layer = 0; layer < table.size(); ++layer) {
    if (!table[layer].empty()) {
      summary.scalar(layer_tag(group, layer), mean_of(table[layer]));
    }
  }
}

void add_distributions(Summary& summary, std::string_view group, const HeadTable& shares) {
  summary.histogram(fmt::format("{}/all", group), all_heads(shares));
  for (std::size_t layer = 0; layer < shares.size(); ++layer) {
    summary.histogram(layer_tag(group, layer), shares[layer]);
  }
}

}  // namespace

TensorBoardLog::TensorBoardLog(const std::filesystem::path& directory,
                               std::string_view recipe,
                               std::int64_t steps_done)
    : file_(directory, steps_done > 0 ? steps_done + 1 : 0) {
  Json::Object settings;
  const auto source = std::make_shared<const ConfigSource>(
      ConfigSource{.name = "recipe.resolved.yaml", .directory = directory.string()});
  collect_settings(to_json(parse_yaml(recipe, source)), "", settings);
  Summary summary;
  summary.text("recipe", as_code(recipe));
  summary.session_start(settings, wall_time_now());
  file_.write(steps_done, summary);
}

void TensorBoardLog::on_step(const StepReport& report) {
  if (!report.sampled) {
    return;
  }
  Summary summary;
  summary.scalar("loss", report.loss);
  summary.scalar("lr", report.lr);
  summary.scalar("grad_norm", report.grad_norm);
  summary.scalar("update_norm", report.update_norm);
  summary.scalar("tokens_per_second", report.tokens_per_second);
  for (const auto& [name, loss] : report.aux_losses) {
    summary.scalar("aux_losses/" + name, loss);
  }
  if (report.lse_mean) {
    summary.scalar("lse_mean", *report.lse_mean);
    summary.scalar("lse_max", *report.lse_max);
  }
  if (!report.qk_clips.empty()) {
    const std::vector<double> clips = all_heads(report.qk_clips);
    summary.scalar("qk_clips", std::accumulate(clips.begin(), clips.end(), 0.0));
  }
  const HeadTable shares = head_table(report.entropy, &HeadEntropy::entropy_normalized);
  if (!all_heads(shares).empty()) {
    add_means(summary, "entropy_mean", head_table(report.entropy, &HeadEntropy::entropy_nats));
    add_means(summary, "entropy_normalized", shares);
    add_distributions(summary, "entropy_normalized_heads", shares);
    summary.image("entropy_normalized_map", draw_heat_map(shares));
    summary.scalar("collapsed_heads", static_cast<double>(report.collapsed_heads));
  }
  for (const auto& [key, table] : report.heads) {
    add_means(summary, key, table);
    add_distributions(summary, key + "_heads", table);
  }
  for (const auto& [key, values] : report.layers) {
    for (std::size_t layer = 0; layer < values.size(); ++layer) {
      summary.scalar(layer_tag(key, layer), values[layer]);
    }
  }
  for (const auto& [key, values] : report.named) {
    for (const auto& [name, value] : values) {
      summary.scalar(fmt::format("{}/{}", key, name), value);
    }
  }
  file_.write(report.step, summary);
}

void TensorBoardLog::on_evaluation(std::int64_t step, const EvaluationReport& report) {
  Summary summary;
  summary.scalar("val_loss", report.val_loss);
  summary.scalar("val_bits_per_byte", report.val_bits_per_byte);
  file_.write(step, summary);
}

void TensorBoardLog::on_event(std::int64_t step, std::string_view event, std::string_view message) {
  // A stopped run may go on: its session has not ended.
  if (event == "end" && message != "stopped") {
    Summary summary;
    summary.session_end(wall_time_now());
    file_.write(step, summary);
  }
}

}  // namespace clausius
