// SPDX-License-Identifier: Apache-2.0
// Checks shared by the optimizer passes.
#include "core/ops/update_range.h"

#include <algorithm>

namespace clausius {

void check_update(std::string_view op,
                  std::initializer_list<const Tensor*> state,
                  const Tensor& master,
                  const Tensor& compute,
                  UpdateRanges ranges) {
  CLS_CHECK(master.rank() == 1 && master.is_contiguous(), ShapeError, '[', op, "] master is ",
            master.shape(), "; expected a dense flat buffer");
  for (const Tensor* tensor : state) {
    CLS_CHECK(tensor->shape() == master.shape() && tensor->is_contiguous(), ShapeError, '[', op,
              "] a buffer is ", tensor->shape(), "; expected ", master.shape(),
              ", dense, as the parameters");
    CLS_CHECK(tensor->dtype() == master.dtype(), DtypeError, '[', op, "] a buffer is ",
              tensor->dtype(), "; expected ", master.dtype(), " as the parameters");
  }
  if (compute) {
    CLS_CHECK(compute.shape() == master.shape() && compute.is_contiguous(), ShapeError, '[', op,
              "] compute is ", compute.shape(), "; expected ", master.shape(), ", dense");
    CLS_CHECK(compute.dtype() == Dtype::kBf16, DtypeError, '[', op, "] compute is ",
              compute.dtype(), "; expected bf16");
  }
  for (const UpdateRange& range : ranges) {
    CLS_CHECK(0 <= range.begin && range.begin <= range.end && range.end <= master.size(0),
              ShapeError, '[', op, "] range [", range.begin, ", ", range.end, ") of ",
              master.size(0), " parameters");
  }
}

std::vector<UpdateRange> update_pieces(UpdateRanges ranges) {
  constexpr std::int64_t kMostElements = 1 << 14;
  std::vector<UpdateRange> pieces;
  for (UpdateRange piece : ranges) {
    const std::int64_t end = piece.end;
    for (; piece.begin < end; piece.begin = piece.end) {
      piece.end = std::min(end, piece.begin + kMostElements);
      pieces.push_back(piece);
    }
  }
  return pieces;
}

}  // namespace clausius
