// SPDX-License-Identifier: Apache-2.0
// A picture of one number per layer and head.
#pragma once

#include "core/io/png.h"
#include "train/monitor/head_table.h"

namespace clausius {

/// Layers from the top, heads from the left; viridis on the fixed scale 0..1, so that pictures compare. Unknown values and heads
/// that a layer does not have are hatched. Cells are 16 pixels a side, smaller where there are many.
/// Errors:  InternalError when no layer has a head.
[[nodiscard]] Raster draw_heat_map(const HeadTable& shares);

}  // namespace clausius
