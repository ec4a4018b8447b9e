// SPDX-License-Identifier: Apache-2.0
// What the optimizer passes share: the parts of the flat parameter buffer that one set of factors
// updates.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

#include "core/tensor.h"

namespace clausius {

/// Elements [begin, end); elements outside every range are left alone. Ranges do not overlap.
struct UpdateRange {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  double lr_scale = 1.0;
  double weight_decay = 0.0;
};

using UpdateRanges = std::span<const UpdateRange>;

/// Errors:  ShapeError, DtypeError unless all buffers are flat, dense and as long as master, `state` of its type,
///          compute (if defined) bf16, and every range inside.
void check_update(std::string_view op,
                  std::initializer_list<const Tensor*> state,
                  const Tensor& master,
                  const Tensor& compute,
                  UpdateRanges ranges);

/// The ranges cut into pieces of at most 16384 elements, in order: what threads share, and sums are made of.
[[nodiscard]] std::vector<UpdateRange> update_pieces(UpdateRanges ranges);

}  // namespace clausius
