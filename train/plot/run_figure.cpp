// SPDX-License-Identifier: Apache-2.0
// Four panels.
#include "train/plot/run_figure.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include <fmt/format.h>

#include "train/plot/axes.h"
#include "train/plot/colors.h"
#include "train/plot/svg.h"

namespace clausius {
namespace {

constexpr double kWidth = 1180;
constexpr double kHeight = 806;
constexpr Box kLossBox{66, 118, 466, 268};
constexpr Box kHeatBox{650, 118, 420, 268};
constexpr Box kLayersBox{66, 478, 466, 268};
constexpr Box kBandsBox{650, 478, 420, 268};
constexpr std::size_t kColumns = 400;
// Above this many, alarms would hide the curve: they shrink to marks at the upper edge.
constexpr std::size_t kMostAlarmLines = 12;

class Figure {
 public:
  Figure(const RunHistory& history, const RunFigureOptions& options)
      : history_(history), options_(options), svg_(kWidth, kHeight) {
    if (!history.steps.empty()) {
      steps_ = {0, static_cast<double>(history.steps.back().step)};
    }
    if (!history.evaluations.empty()) {
      steps_.high = std::max(steps_.high, static_cast<double>(history.evaluations.back().step));
    }
  }

  std::string draw() {
    svg_.text({kLossBox.x - 34, 42}, options_.title, {.size = 21, .bold = true});
    svg_.text({kLossBox.x - 34, 66}, options_.subtitle, {.size = 13, .color = "#555555"});
    draw_loss();
    draw_heat_map();
    draw_layers();
    draw_bands();
    return svg_.finish();
  }

 private:
  void panel_title(const Box& box, const std::string& title, const std::string& note = {}) {
    svg_.text({box.x, box.y - 14}, title, {.size = 14, .bold = true});
    svg_.text({box.right(), box.y - 14}, note,
              {.size = 11, .color = "#555555", .anchor = Anchor::kEnd});
  }

  void nothing(const Box& box, const std::string& reason) {
    svg_.hatched(box);
    svg_.text({box.x + box.width / 2, box.y + box.height / 2}, reason,
              {.size = 13, .anchor = Anchor::kMiddle});
  }

  [[nodiscard]] std::vector<Point> losses() const {
    std::vector<Point> points;
    for (const StepRecord& record : history_.steps) {
      points.push_back({static_cast<double>(record.step), record.loss});
    }
    return decimate(points, std::numeric_limits<std::size_t>::max() / 4);
  }

  // The mean over about a twentieth of the samples, half of them before and half after: it does not lag.
  static std::vector<Point> smoothed(const std::vector<Point>& points) {
    std::vector<Point> smooth;
    for (std::size_t i = 0; i < points.size(); ++i) {
      const std::size_t reach = std::min({points.size() / 40, i, points.size() - 1 - i});
      double sum = 0;
      for (std::size_t k = i - reach; k <= i + reach; ++k) {
        sum += points[k].y;
      }
      smooth.push_back({points[i].x, sum / static_cast<double>(2 * reach + 1)});
    }
    return smooth;
  }

  [[nodiscard]] Range loss_range(const std::vector<Point>& points) const {
    Range range{std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()};
    const auto include = [&](double value) {
      if (std::isfinite(value)) {
        range.low = std::min(range.low, value);
        range.high = std::max(range.high, value);
      }
    };
    for (const Point& point : points) {
      include(point.y);
    }
    for (const EvaluationRecord& record : history_.evaluations) {
      include(record.val_loss);
    }
    const double margin = std::max(0.06 * (range.high - range.low), 1e-3);
    return {range.low - margin, range.high + margin};
  }

  void draw_loss() {
    panel_title(kLossBox, "Loss, nats per token");
    const std::vector<Point> raw = losses();
    if (raw.empty() && history_.evaluations.empty()) {
      return nothing(kLossBox, "no sampled step yet");
    }
    const Axes axes(kLossBox, steps_, loss_range(raw));
    axes.draw_grid(svg_);
    draw_alarms(axes);
    svg_.polyline(axes.pixels(decimate(raw, kColumns)),
                  {.color = std::string(kBlue), .width = 1, .opacity = 0.35});
    svg_.polyline(axes.pixels(decimate(smoothed(raw), kColumns)),
                  {.color = std::string(kBlue), .width = 2});
    for (const EvaluationRecord& record : history_.evaluations) {
      if (std::isfinite(record.val_loss)) {
        svg_.circle(axes.pixel({static_cast<double>(record.step), record.val_loss}), 4, kVermilion,
                    {.color = "#ffffff", .width = 1.2});
        svg_.title(fmt::format("step {}: validation loss {:.4f}", record.step, record.val_loss));
      }
    }
    axes.draw_frame(svg_, "step");
    loss_legend();
  }

  void loss_legend() {
    const double x = kLossBox.right() - 116;
    const double y = kLossBox.y + 26;
    svg_.rectangle({x - 8, y - 16, 124, alarm_steps().empty() ? 44.0 : 64.0}, "#ffffff");
    svg_.line({x, y - 4}, {x + 22, y - 4}, {.color = std::string(kBlue), .width = 2});
    svg_.text({x + 30, y}, "training");
    if (!history_.evaluations.empty()) {
      svg_.circle({x + 11, y + 16}, 4, kVermilion, {.color = "#ffffff", .width = 1.2});
      svg_.text({x + 30, y + 20}, "validation");
    }
    if (!alarm_steps().empty()) {
      svg_.line({x + 11, y + 29}, {x + 11, y + 43},
                {.color = std::string(kVermilion), .width = 1.4, .dash = "3 2"});
      svg_.text({x + 30, y + 40}, "alarm raised");
    }
  }

  // Steps at which some alarm was raised, each once.
  [[nodiscard]] std::vector<std::int64_t> alarm_steps() const {
    std::vector<std::int64_t> steps;
    for (const EventRecord& record : history_.events) {
      const bool raised = record.event == "alarm" && !record.message.starts_with("cleared");
      if (raised && (steps.empty() || steps.back() != record.step)) {
        steps.push_back(record.step);
      }
    }
    return steps;
  }

  void draw_alarms(const Axes& axes) {
    const std::vector<std::int64_t> steps = alarm_steps();
    const double end = steps.size() > kMostAlarmLines ? kLossBox.y + 8 : kLossBox.bottom();
    for (const std::int64_t step : steps) {
      const double x = axes.pixel_x(static_cast<double>(step));
      svg_.line({x, kLossBox.y}, {x, end},
                {.color = std::string(kVermilion), .width = 1.2, .opacity = 0.7, .dash = "3 2"});
    }
  }

  [[nodiscard]] const StepRecord* last_table() const {
    for (auto record = history_.steps.rbegin(); record != history_.steps.rend(); ++record) {
      if (!record->entropy_normalized.empty()) {
        return &*record;
      }
    }
    return nullptr;
  }

  void draw_heat_map() {
    const StepRecord* record = last_table();
    std::size_t heads = 0;
    if (record != nullptr) {
      for (const std::vector<double>& layer : record->entropy_normalized) {
        heads = std::max(heads, layer.size());
      }
    }
    if (heads == 0) {
      panel_title(kHeatBox, "Entropy of each head");
      return nothing(kHeatBox, "no head has an entropy");
    }
    panel_title(kHeatBox, fmt::format("Entropy of each head at step {}", record->step),
                "share of the attainable");
    draw_cells(record->entropy_normalized, heads);
    draw_color_bar();
  }

  void draw_cells(const HeadTable& table, std::size_t heads) {
    const double width = kHeatBox.width / static_cast<double>(heads);
    const double height = kHeatBox.height / static_cast<double>(table.size());
    const double gap = std::min(width, height) > 12 ? 2 : 0;
    for (std::size_t layer = 0; layer < table.size(); ++layer) {
      const double top = kHeatBox.y + height * static_cast<double>(layer);
      const std::size_t count = table[layer].empty() ? heads : table[layer].size();
      for (std::size_t head = 0; head < count; ++head) {
        const Box cell{kHeatBox.x + width * static_cast<double>(head) + gap / 2, top + gap / 2,
                       width - gap, height - gap};
        const double share = table[layer].empty() ? std::nan("") : table[layer][head];
        draw_cell(cell, layer, head, share);
      }
    }
    draw_cell_labels(table.size(), height, heads, width);
  }

  void draw_cell(const Box& cell, std::size_t layer, std::size_t head, double share) {
    if (std::isnan(share)) {
      svg_.hatched(cell);
      svg_.title(fmt::format("layer {}, head {}: no entropy", layer, head));
      return;
    }
    svg_.rectangle(cell, viridis(share), cell.width > 20 && cell.height > 20 ? 2 : 0);
    svg_.title(fmt::format("layer {}, head {}: {:.3f}", layer, head, share));
    if (cell.width >= 32 && cell.height >= 16) {
      svg_.text(
          {cell.x + cell.width / 2, cell.y + cell.height / 2 + 4}, fmt::format("{:.2f}", share),
          {.size = 11, .color = std::string(ink_on_viridis(share)), .anchor = Anchor::kMiddle});
    }
  }

  // Every label where there is room, else every second, fifth, ..
  void draw_cell_labels(std::size_t layers, double height, std::size_t heads, double width) {
    const TextStyle style{.size = 11, .color = "#555555"};
    const auto every = [](double pixels, double room) {
      std::size_t step = 1;
      for (const std::size_t wider : {2U, 5U, 10U, 20U, 50U, 100U}) {
        step = pixels * static_cast<double>(step) >= room ? step : wider;
      }
      return step;
    };
    TextStyle right = style;
    right.anchor = Anchor::kEnd;
    for (std::size_t layer = 0; layer < layers; layer += every(height, 14)) {
      svg_.text({kHeatBox.x - 8, kHeatBox.y + height * (static_cast<double>(layer) + 0.5) + 4},
                fmt::format("{}", layer), right);
    }
    TextStyle middle = style;
    middle.anchor = Anchor::kMiddle;
    for (std::size_t head = 0; head < heads; head += every(width, 20)) {
      svg_.text({kHeatBox.x + width * (static_cast<double>(head) + 0.5), kHeatBox.bottom() + 17},
                fmt::format("{}", head), middle);
    }
    TextStyle turned = middle;
    turned.rotate = -90;
    svg_.text({kHeatBox.x - 34, kHeatBox.y + kHeatBox.height / 2}, "layer", turned);
    svg_.text({kHeatBox.x + kHeatBox.width / 2, kHeatBox.bottom() + 33}, "head", middle);
  }

  void draw_color_bar() {
    constexpr int kSteps = 64;
    const Box bar{kHeatBox.right() + 22, kHeatBox.y, 14, kHeatBox.height};
    const double height = bar.height / kSteps;
    for (int i = 0; i < kSteps; ++i) {
      // A little overlap hides the seams of anti-aliasing.
      svg_.rectangle(
          {bar.x, bar.bottom() - height * (i + 1), bar.width, height + (i > 0 ? 0.5 : 0)},
          viridis((i + 0.5) / kSteps));
    }
    for (const double share : {0.0, 0.25, 0.5, 0.75, 1.0}) {
      svg_.text({bar.right() + 7, bar.bottom() - bar.height * share + 4},
                fmt::format("{:.2f}", share), {.size = 11, .color = "#555555"});
    }
  }

  [[nodiscard]] std::vector<Point> layer_means(std::size_t layer) const {
    std::vector<Point> points;
    for (const StepRecord& record : history_.steps) {
      if (layer < record.entropy_normalized.size()) {
        points.push_back(
            {static_cast<double>(record.step), mean_of(record.entropy_normalized[layer])});
      }
    }
    return decimate(points, kColumns);
  }

  void draw_layers() {
    panel_title(kLayersBox, "Mean entropy of each layer", "share of the attainable");
    const StepRecord* record = last_table();
    if (record == nullptr) {
      return nothing(kLayersBox, "no head has an entropy");
    }
    const Axes axes(kLayersBox, steps_, {0, 1});
    axes.draw_grid(svg_);
    draw_limit(axes, options_.collapse_below, "collapse", -5);
    draw_limit(axes, options_.overload_above, "overload", 13);
    const std::size_t layers = record->entropy_normalized.size();
    std::vector<std::pair<double, std::size_t>> ends;
    for (std::size_t layer = 0; layer < layers; ++layer) {
      const std::vector<Point> points = layer_means(layer);
      if (points.empty()) {
        continue;
      }
      svg_.polyline(axes.pixels(points), {.color = layer_color(layer, layers), .width = 1.8});
      ends.emplace_back(axes.pixel_y(points.back().y), layer);
    }
    label_layers(std::move(ends), layers);
    axes.draw_frame(svg_, "step");
  }

  void draw_limit(const Axes& axes, double limit, std::string_view name, double offset) {
    if (limit <= 0 || limit >= 1) {
      return;
    }
    const double y = axes.pixel_y(limit);
    svg_.line({kLayersBox.x, y}, {kLayersBox.right(), y},
              {.color = std::string(kVermilion), .opacity = 0.8, .dash = "5 4"});
    svg_.text({kLayersBox.right() - 4, y + offset}, name,
              {.size = 11, .color = std::string(kVermilion), .anchor = Anchor::kEnd});
  }

  // The brightest end of viridis is too pale for a line on white.
  static std::string layer_color(std::size_t layer, std::size_t layers) {
    return viridis(
        layers < 2 ? 0.25 : 0.88 * static_cast<double>(layer) / static_cast<double>(layers - 1));
  }

  // At the right end of the lines, pushed apart where they would overlap; with many layers the first, the last and some between.
  void label_layers(std::vector<std::pair<double, std::size_t>> ends, std::size_t layers) {
    constexpr double kDistance = 12;
    constexpr std::size_t kMostLabels = 16;
    const std::size_t every = layers / kMostLabels + 1;
    std::erase_if(
        ends, [&](const auto& end) { return end.second % every != 0 && end.second + 1 != layers; });
    std::sort(ends.begin(), ends.end());
    double lowest = kLayersBox.y;
    for (auto& [y, layer] : ends) {
      y = std::max(y, lowest);
      lowest = y + kDistance;
    }
    double highest = kLayersBox.bottom() + 2;
    for (auto end = ends.rbegin(); end != ends.rend(); ++end) {
      end->first = std::min(end->first, highest);
      highest = end->first - kDistance;
    }
    for (const auto& [y, layer] : ends) {
      svg_.text({kLayersBox.right() + 6, y + 4}, fmt::format("layer {}", layer),
                {.size = 11, .color = layer_color(layer, layers), .bold = true});
    }
  }

  // The samples that have bands, thinned out to what a screen can show.
  [[nodiscard]] std::vector<const StepRecord*> banded() const {
    std::vector<const StepRecord*> all;
    for (const StepRecord& record : history_.steps) {
      if (!record.bands.empty() && (all.empty() || record.bands.size() == all[0]->bands.size())) {
        all.push_back(&record);
      }
    }
    std::vector<const StepRecord*> thinned;
    const std::size_t every = all.size() / kColumns + 1;
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (i % every == 0 || i + 1 == all.size()) {
        thinned.push_back(all[i]);
      }
    }
    return thinned;
  }

  void draw_bands() {
    panel_title(kBandsBox, "Heads by health band", "share of all heads");
    const std::vector<const StepRecord*> records = banded();
    if (records.empty()) {
      return nothing(kBandsBox, "no head has an entropy");
    }
    const Axes axes(kBandsBox, steps_, {0, 1});
    std::vector<Point> lower;
    for (const StepRecord* record : records) {
      lower.push_back({static_cast<double>(record->step), 0.0});
    }
    for (std::size_t band = 0; band < records[0]->bands.size(); ++band) {
      std::vector<Point> upper = lower;
      for (std::size_t i = 0; i < records.size(); ++i) {
        upper[i].y += records[i]->bands[band];
      }
      std::vector<Point> outline = axes.pixels(lower);
      const std::vector<Point> back = axes.pixels(upper);
      outline.insert(outline.end(), back.rbegin(), back.rend());
      svg_.polygon(outline, band_color(band));
      lower = std::move(upper);
    }
    axes.draw_grid(svg_, true);
    axes.draw_frame(svg_, "step");
    band_legend(records[0]->bands.size());
  }

  [[nodiscard]] double band_border(std::size_t band, double otherwise) const {
    return band < options_.bands.size() ? options_.bands[band] : otherwise;
  }

  // The colour its middle has on the heat map.
  [[nodiscard]] std::string band_color(std::size_t band) const {
    const double low = band == 0 ? 0.0 : band_border(band - 1, 0.0);
    return viridis((low + band_border(band, 1.0)) / 2);
  }

  void band_legend(std::size_t bands) {
    for (std::size_t band = 0; band < bands; ++band) {
      const double y = kBandsBox.bottom() - 18 - 22 * static_cast<double>(band);
      const double low = band == 0 ? 0.0 : band_border(band - 1, 0.0);
      svg_.rectangle({kBandsBox.right() + 14, y, 14, 14}, band_color(band), 2);
      svg_.text({kBandsBox.right() + 34, y + 11.5},
                fmt::format("{} - {}", low, band_border(band, 1.0)), {.size = 11});
    }
  }

  const RunHistory& history_;
  const RunFigureOptions& options_;
  Svg svg_;
  Range steps_{0, 1};
};

}  // namespace

std::string run_figure(const RunHistory& history, const RunFigureOptions& options) {
  return Figure(history, options).draw();
}

}  // namespace clausius
