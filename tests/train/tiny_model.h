// SPDX-License-Identifier: Apache-2.0
// A two-layer language model of 13 tokens and its batches, for tests of what happens around a model.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/batch.h"
#include "data/dataset.h"
#include "data/loader.h"
#include "layers/models/decoder_lm.h"

namespace clausius::test {

inline constexpr std::int64_t kTinyVocab = 13;
inline constexpr std::int64_t kTinyLength = 7;

/// Parameters in `master`, gradients allocated; buffers padded for `shares` ranks.
[[nodiscard]] std::unique_ptr<DecoderLm> make_tiny_model(
    Dtype master,
    Device device = kCpu,
    std::int64_t shares = 1,
    const std::vector<Choice<Regularizer>>& regularizers = {},
    const std::string& mixer = "{kind: softmax}",
    Dtype compute = Dtype::kF32,
    const Choice<Reparam>& reparam = Choice<Reparam>("none"));

/// Rows [first, first + count) of an endless table, each a function of its number alone. Every fifth target carries no loss.
[[nodiscard]] Batch tiny_batch(std::int64_t first, std::int64_t count);

/// Rows [0, sum of sizes) as micro-batches of these sizes.
[[nodiscard]] LoadedStep tiny_step(const std::vector<std::int64_t>& sizes);

/// Rows [0, size), with the places read from written down.
class TinySequence final : public SampleSequence {
 public:
  explicit TinySequence(std::int64_t size) : size_(size) {}
  [[nodiscard]] std::int64_t epoch_size() const override { return size_; }
  [[nodiscard]] Batch read(std::int64_t first, std::int64_t count) const override;
  [[nodiscard]] const std::vector<std::int64_t>& rows_read() const { return rows_read_; }

 private:
  std::int64_t size_;
  mutable std::vector<std::int64_t> rows_read_;
};

}  // namespace clausius::test
