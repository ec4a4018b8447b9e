// SPDX-License-Identifier: Apache-2.0
// One line of metrics.jsonl, read as fast as a page that loads a long run needs it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace clausius::web {

/// What a line says. Numbers are named as the page names its curves: a key of the line (`loss`), a member of an object
/// (`aux_losses.entropy`), an element of a list (`bands.0`). null is NaN.
struct MetricLine {
  std::int64_t step = 0;
  std::vector<std::pair<std::string, double>> numbers;
  std::vector<std::string> alarms;
  std::string event;
  std::string message;
  /// Key and text of the lists of lists ([layer][head]); views into the line, not parsed.
  std::vector<std::pair<std::string, std::string_view>> tables;

  /// The number of this name; NaN without one.
  [[nodiscard]] double number(std::string_view name) const;
};

/// Value:   nothing for a text that is no JSON object with an integer `step`: a reader of a live file passes it over.
/// Cost:    one pass over the bytes; tables, most of a line, are only skipped.
[[nodiscard]] std::optional<MetricLine> read_metric_line(std::string_view line);

}  // namespace clausius::web
