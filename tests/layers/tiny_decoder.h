// SPDX-License-Identifier: Apache-2.0
// A small decoder_lm from recipe text, with its batch and its gradients, for tests of the parts that recipes choose.
#pragma once

#include <memory>
#include <string>

#include "layers/models/decoder_lm.h"

namespace clausius::test {

inline constexpr std::int64_t kDecoderVocab = 11;
inline constexpr std::int64_t kDecoderLength = 6;

struct DecoderTypes {
  Dtype master = Dtype::kF64;
  Dtype compute = Dtype::kF32;
  Device device = kCpu;
};

/// `{kind: decoder_lm, layers: 2, model_dim: 8, num_heads: 2, init: {kind: normal, std: 0.3}, <keys>}`, gradients allocated.
/// `layers` may stand among the keys instead.
[[nodiscard]] std::unique_ptr<DecoderLm> tiny_decoder(
    const std::string& keys,
    const DecoderTypes& types = {},
    const std::vector<Choice<Regularizer>>& regularizers = {});

/// Two rows of five tokens, one target ignored.
[[nodiscard]] Batch decoder_batch();

/// Loss and sums of the regularizers.
[[nodiscard]] double loss_of(DecoderLm& model, const Batch& batch);
/// The gradient buffer after one backward from the loss.
[[nodiscard]] Tensor loss_gradients(DecoderLm& model,
                                    const Batch& batch,
                                    Recompute recompute = Recompute::kNone);

/// Of every parameter some elements, by central differences in f64.
void expect_exact_gradients(DecoderLm& model, const std::string& what);

}  // namespace clausius::test
