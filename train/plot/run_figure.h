// SPDX-License-Identifier: Apache-2.0
// The picture of a run: loss, and the entropy of its heads.
#pragma once

#include <string>
#include <vector>

#include "train/run_history.h"

namespace clausius {

struct RunFigureOptions {
  std::string title;
  std::string subtitle;
  /// Borders of the health bands, shares of the attainable entropy (monitor.bands).
  std::vector<double> bands{};
  double collapse_below = 0;
  double overload_above = 1;
};

/// An SVG document of four panels: training and validation loss with alarms as vertical marks; normalised entropy of every layer and
/// head at the last sample, on a fixed scale from 0 to 1 (heads without one are hatched); its mean over each layer against the
/// steps; and the share of heads in each health band.
[[nodiscard]] std::string run_figure(const RunHistory& history, const RunFigureOptions& options);

}  // namespace clausius
