// SPDX-License-Identifier: Apache-2.0
// Numbers of a finished cell, from what its run wrote.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/io/json.h"
#include "train/sweep/sweep_config.h"

namespace clausius {

/// The lines of a run's metrics.jsonl that count: without a torn last one, and without those of steps that a resumed run did again.
/// Errors:  IoError, DataError as read_run_history.
[[nodiscard]] std::vector<Json> read_metric_lines(const std::filesystem::path& metrics);

/// The value of a dotted key: names of maps, numbers of lists. Null where the line has none.
[[nodiscard]] const Json* find_metric(const Json& line, std::string_view key);

/// One number, or nothing where no line has one.
/// Value:   `take` goes over the steps, and where a value is a list (of layers, of heads) over its entries too: min and max are those
///          of all, mean and last average the entries of a step; first_step is the first step at which any entry is above or below
///          the limit. Entries that are null (heads without probabilities, values that were not finite) are left out.
[[nodiscard]] std::optional<double> take_measure(const Measure& measure,
                                                 const std::vector<Json>& lines);

/// Keys of the lines that hold numbers, for messages.
[[nodiscard]] std::vector<std::string> metric_keys(const std::vector<Json>& lines);

}  // namespace clausius
