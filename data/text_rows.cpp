// SPDX-License-Identifier: Apache-2.0
// Assembling batches of rows.
#include "data/text_rows.h"

#include "core/checked.h"
#include "core/error.h"

namespace clausius {

TextRows::TextRows(std::vector<RowTable> parts,
                   Sampler sampler,
                   std::vector<std::int32_t> byte_lengths)
    : parts_(std::move(parts)),
      sampler_(std::move(sampler)),
      byte_lengths_(std::move(byte_lengths)) {
  CLS_CHECK(!parts_.empty(), InternalError, "text rows without a text");
}

Batch TextRows::read(std::int64_t first, std::int64_t count) const {
  const std::int64_t length = parts_.front().context_length();
  Batch batch;
  batch.inputs_BT = Tensor::empty({count, length}, Dtype::kI32);
  batch.targets_BT = Tensor::empty({count, length}, Dtype::kI32);
  batch.positions_BT = Tensor::empty({count, length}, Dtype::kI32);
  batch.sample_ids_B = Tensor::empty({count}, Dtype::kI64);
  std::vector<std::int32_t> starts;
  std::vector<std::int64_t> borders;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto row_of = [&](Tensor& tensor) {
      return tensor.span<std::int32_t>().subspan(static_cast<std::size_t>(i * length),
                                                 static_cast<std::size_t>(length));
    };
    const SamplePlace place = sampler_.at(first + i);
    borders.assign(1, 0);
    parts_[static_cast<std::size_t>(place.part)].read(
        place.row, {row_of(batch.inputs_BT), row_of(batch.targets_BT), row_of(batch.positions_BT)},
        borders);
    for (const std::int64_t border : borders) {
      starts.push_back(narrow<std::int32_t>(i * length + border));
    }
    batch.sample_ids_B.span<std::int64_t>()[static_cast<std::size_t>(i)] = first + i;
  }
  if (std::ssize(starts) > count) {
    starts.push_back(narrow<std::int32_t>(count * length));
    batch.cu_seqlens = Tensor::from(starts, {std::ssize(starts)});
  }
  std::int64_t scored = 0;
  std::int64_t bytes = 0;
  for (const std::int32_t target : batch.targets_BT.span<std::int32_t>()) {
    if (target != kIgnoredTarget) {
      ++scored;
      bytes += byte_lengths_.empty() ? 0 : byte_lengths_[static_cast<std::size_t>(target)];
    }
  }
  batch.weight = static_cast<double>(scored);
  batch.target_bytes = static_cast<double>(bytes);
  return batch;
}

}  // namespace clausius
