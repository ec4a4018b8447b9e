// SPDX-License-Identifier: Apache-2.0
// One number per layer and head: as JSON, and as a table for people.
#pragma once

#include <string>
#include <vector>

#include "core/io/json.h"
#include "train/monitor/attention_entropy.h"

namespace clausius {

/// [layer][head]; layers without probabilities are empty, unknown values NaN.
using HeadTable = std::vector<std::vector<double>>;

[[nodiscard]] HeadTable head_table(const EntropyReport& report, double HeadEntropy::*member);

/// As in metrics.jsonl: layers without probabilities and unknown values are null.
[[nodiscard]] Json to_json(const HeadTable& table);
/// Errors: DataError when the document is no such table.
[[nodiscard]] HeadTable read_head_table(const Json& document);

/// Entropies layer by layer: nats, shares of what is attainable, and the shares as a heat map of block characters (UTF-8).
/// Empty when no head has one.
[[nodiscard]] std::string entropy_text(const HeadTable& nats, const HeadTable& normalized);

/// Mean over the known heads of a layer; NaN without any.
[[nodiscard]] double mean_of(const std::vector<double>& heads);

}  // namespace clausius
