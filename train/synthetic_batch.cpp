// SPDX-License-Identifier: Apache-2.0
// Random tokens.
#include "train/synthetic_batch.h"

#include "core/checked.h"
#include "core/random.h"

namespace clausius {

Batch make_synthetic_batch(const SyntheticBatch& shape) {
  const std::int64_t length = shape.context_length;
  const RandomStream stream{.seed = shape.seed, .stream = stream_of("synthetic_batch")};
  Batch batch;
  batch.inputs_BT = Tensor::empty({shape.rows, length}, Dtype::kI32);
  batch.targets_BT = Tensor::empty({shape.rows, length}, Dtype::kI32);
  batch.positions_BT = Tensor::empty({shape.rows, length}, Dtype::kI32);
  batch.sample_ids_B = Tensor::empty({shape.rows}, Dtype::kI64);
  for (std::int64_t row = 0; row < shape.rows; ++row) {
    batch.sample_ids_B.data<std::int64_t>()[row] = row;
    const auto token = [&](std::int64_t t) {
      const PhiloxBlock words = stream.block(narrow<std::uint32_t>(row * (length + 1) + t));
      return static_cast<std::int32_t>(words[0] % static_cast<std::uint32_t>(shape.vocab_size));
    };
    for (std::int64_t t = 0; t < length; ++t) {
      const std::int64_t place = row * length + t;
      batch.inputs_BT.data<std::int32_t>()[place] = token(t);
      batch.targets_BT.data<std::int32_t>()[place] = token(t + 1);
      batch.positions_BT.data<std::int32_t>()[place] = narrow<std::int32_t>(t);
    }
  }
  batch.weight = static_cast<double>(shape.rows * length);
  return batch;
}

}  // namespace clausius
