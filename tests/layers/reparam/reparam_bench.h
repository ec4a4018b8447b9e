// SPDX-License-Identifier: Apache-2.0
// A small decoder under a reparametrisation, taken through passes by hand.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "layers/models/decoder_lm.h"

namespace clausius::test {

struct ReparamBenchOptions {
  Dtype master = Dtype::kF64;
  Dtype compute = Dtype::kF32;  // kF32: the master's type
  Device device = kCpu;
  std::int64_t shares = 1;
  bool untied = false;
  bool swiglu = true;
};

/// Two layers of width 8 with two heads, an output gate and a gated or plain feed-forward.
class ReparamBench {
 public:
  explicit ReparamBench(const std::string& reparam, const ReparamBenchOptions& options = {});

  [[nodiscard]] DecoderLm& model() { return *model_; }
  [[nodiscard]] ParameterStore& store() { return model_->parameters(); }
  /// Never null.
  [[nodiscard]] Reparam& reparam() { return *model_->reparam(); }
  [[nodiscard]] Parameter& parameter(const std::string& path);
  /// Every parameter that is not a matrix, an embedding or a head gets other values, so that nothing is special about it.
  void stir();

  /// Mean loss over the targets of six rows in training, from the factors that are there.
  [[nodiscard]] double loss();
  /// begin_step, the rows as micro-batches of these sizes, finish_gradients; returns the mean loss. Gradients are the store's.
  double step(const std::vector<std::int64_t>& sizes = {6},
              Recompute recompute = Recompute::kNone,
              std::int64_t number = 1);
  /// The passes of a step alone: the gradients of what products read.
  double passes(const std::vector<std::int64_t>& sizes, Recompute recompute = Recompute::kNone);
  /// Parameters move against their gradients.
  void descend(double rate);
  /// Logits of fixed tokens in evaluation.
  [[nodiscard]] Tensor logits();

 private:
  std::unique_ptr<DecoderLm> model_;
};

[[nodiscard]] std::unique_ptr<DecoderLm> make_reparam_model(const std::string& reparam,
                                                            const ReparamBenchOptions& options);

}  // namespace clausius::test
