// SPDX-License-Identifier: Apache-2.0
// Checks and dispatch of row_lengths, and its CPU kernel: integers have one definition.
#include "core/ops/row_lengths/row_lengths.h"

#include <algorithm>

#include "core/checked.h"
#include "core/error.h"
#include "core/targets.h"

namespace clausius::ops {
namespace {

void row_lengths_cpu(const Tensor& targets_BT, Tensor& lengths_B) {
  const std::int64_t tokens = targets_BT.size(1);
  for (std::int64_t row = 0; row < targets_BT.size(0); ++row) {
    const std::int32_t* targets = targets_BT.data<std::int32_t>() + row * tokens;
    std::int64_t length = tokens;
    while (length > 0 && targets[length - 1] == kIgnoredTarget) {
      --length;
    }
    lengths_B.data<std::int32_t>()[row] =
        narrow<std::int32_t>(length == 0 ? 0 : std::min(tokens, length + 1));
  }
}

CLS_KERNEL(row_lengths, kCpu, kI32, row_lengths_cpu);

}  // namespace

RowLengthsKernels& row_lengths_kernels() {
  static RowLengthsKernels table("row_lengths", row_lengths_cpu, row_lengths_cpu);
  return table;
}

Tensor row_lengths(const Tensor& targets_BT) {
  CLS_CHECK(targets_BT.rank() == 2, ShapeError, "[row_lengths] targets are ", targets_BT.shape(),
            "; expected [B, T]");
  CLS_CHECK(targets_BT.dtype() == Dtype::kI32, DtypeError, "[row_lengths] targets are ",
            targets_BT.dtype(), "; expected i32");
  Tensor lengths = Tensor::zeros({targets_BT.size(0)}, Dtype::kI32, targets_BT.device());
  if (targets_BT.numel() > 0) {
    row_lengths_kernels().run(targets_BT.device(), Dtype::kI32, targets_BT.contiguous(), lengths);
  }
  return lengths;
}

}  // namespace clausius::ops
