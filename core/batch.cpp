// SPDX-License-Identifier: Apache-2.0
// Batches on their way to devices.
#include "core/batch.h"

#include <span>
#include <utility>
#include <vector>

#include "core/checked.h"
#include "core/error.h"

namespace clausius {

void Batch::mark_documents() {
  if (document_begin_BT.defined()) {
    return;
  }
  const std::int64_t rows = inputs_BT.size(0);
  const std::int64_t length = inputs_BT.size(1);
  Tensor begins = Tensor::empty({rows, length}, Dtype::kI32);
  Tensor ends = Tensor::empty({rows, length}, Dtype::kI32);
  std::vector<std::int32_t> whole_rows;
  for (std::int64_t row = 0; row <= rows && !cu_seqlens.defined(); ++row) {
    whole_rows.push_back(narrow<std::int32_t>(row * length));
  }
  const std::span<const std::int32_t> borders = cu_seqlens.defined()
                                                    ? std::as_const(cu_seqlens).span<std::int32_t>()
                                                    : std::span<const std::int32_t>(whole_rows);
  CLS_CHECK(!borders.empty() && borders.front() == 0 && borders.back() == rows * length, ShapeError,
            "cu_seqlens must run from 0 to B T = ", rows * length);
  for (std::size_t i = 0; i + 1 < borders.size(); ++i) {
    const std::int64_t begin = borders[i];
    const std::int64_t end = borders[i + 1];
    if (begin == end) {
      continue;
    }
    const std::int64_t row_begin = begin / length * length;
    CLS_CHECK(begin < end && end <= row_begin + length, ShapeError, "document [", begin, ", ", end,
              ") of cu_seqlens does not lie in a row of ", length);
    for (std::int64_t at = begin; at < end; ++at) {
      begins.data<std::int32_t>()[at] = narrow<std::int32_t>(begin - row_begin);
      ends.data<std::int32_t>()[at] = narrow<std::int32_t>(end - row_begin);
    }
  }
  document_begin_BT = begins;
  document_end_BT = ends;
}

Batch Batch::to(Device device) const {
  Batch moved = *this;
  if (device.kind != DeviceKind::kCpu && cu_seqlens.defined()) {
    moved.mark_documents();
  }
  for (Tensor Batch::*const part : kDeviceParts) {
    if ((moved.*part).defined()) {
      moved.*part = (moved.*part).to(device);
    }
  }
  return moved;
}

}  // namespace clausius
