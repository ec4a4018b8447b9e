// SPDX-License-Identifier: Apache-2.0
// Runs in the text format that Prometheus scrapes (exposition 0.0.4).
#pragma once

#include <string>
#include <vector>

#include "train/web/run_view.h"

namespace clausius::web {

inline constexpr const char* kPrometheusType = "text/plain; version=0.0.4; charset=utf-8";

struct PrometheusRun {
  std::string name;  // the label `run`
  const RunView* view = nullptr;
};

/// The last sample of each run: loss, step, tokens, speed, norms, memory, entropies by layer and head, collapsed heads, alarms; the time of
/// all logged steps as a histogram. What a run has not told yet is left out.
[[nodiscard]] std::string prometheus_text(const std::vector<PrometheusRun>& runs, double now);

}  // namespace clausius::web
