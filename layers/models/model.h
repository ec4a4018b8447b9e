// SPDX-License-Identifier: Apache-2.0
// Model: the one thing the trainer knows of what it trains.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "autograd/parameter.h"
#include "core/batch.h"
#include "core/config.h"
#include "core/registry.h"
#include "layers/context.h"
#include "layers/mixer.h"
#include "layers/regularizers/regularizer.h"
#include "layers/reparam/reparam.h"

// Legend: B batch, T tokens, N targets, V vocabulary.
namespace clausius {

enum class Recompute { kNone, kBlock };
constexpr auto words_of(Recompute /*unused*/) {
  return words("none", "block");
}

/// How one forward pass is run.
struct ForwardOptions {
  Phase phase = Phase::kTrain;
  std::uint64_t seed = 0;
  std::uint32_t step = 0;
  Recompute recompute = Recompute::kNone;
  Telemetry* telemetry = nullptr;
  /// [regularizers], f64, where the model is: what the sum of each is multiplied by where loss_sum is multiplied by 1. Read by
  /// regularizers whose gradient is made with the loss's (Regularizer::of_head), which have none without it.
  Tensor regularizer_shares{};
};

struct ForwardLoss {
  /// Sum over the batch of what the objective minimises; divide by the weight of the global batch.
  Variable loss_sum;
  /// What gradients start from in its place: loss_sum, and the sums of regularizers that are made with it times their shares.
  Variable optimized;
  /// Of each target, 0 where ignored, f32; undefined where the objective has no such thing.
  Tensor token_loss_N;
  /// Sums of the model's regularizers, one for each, in training only.
  std::vector<Variable> regularizer_sums{};
  /// Of the head's logits, [2] f64: the sum over targets of their log-sum-exp, and the largest; undefined for models without such a head.
  Tensor log_sum_exp{};
};

/// The arithmetic of one forward pass, for `plan` and the metrics; a training step is three times it (attention 3.5 times).
struct ForwardCost {
  double matmul_flops_per_token = 0;
  /// Averaged over a full row, masked half not counted where causal.
  double attention_flops_per_token = 0;
};

class Model {
 public:
  Model() = default;
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;
  virtual ~Model() = default;

  [[nodiscard]] virtual ForwardLoss forward_loss(const Batch& batch,
                                                 const ForwardOptions& options) = 0;
  [[nodiscard]] virtual ParameterStore& parameters() = 0;
  /// What is added to the loss in training, each with a sum in ForwardLoss.
  [[nodiscard]] virtual std::vector<const Regularizer*> regularizers() const { return {}; }
  /// Heads of each layer whose entropy is reported, 0 for layers whose mixer has no probabilities.
  [[nodiscard]] virtual std::vector<std::int64_t> heads_per_layer() const = 0;
  /// Where each layer's parameters lie in the flat buffers, ascending; an empty range for a layer without parameters.
  [[nodiscard]] virtual std::vector<FlatRange> layer_ranges() const { return {}; }
  /// Multiplies the softmax temperature of a head by `factor` > 0, in the master values; the caller refreshes the compute copy. False:
  /// the layer has none. The same call on every rank keeps them equal.
  virtual bool raise_temperature(std::int64_t /*layer*/, std::int64_t /*head*/, double /*factor*/) {
    return false;
  }
  /// What changes its weights, nullptr where nothing does. Its begin_evaluation() is due whenever parameters have changed.
  [[nodiscard]] virtual Reparam* reparam() { return nullptr; }
  /// What is clipped in each layer after an update; empty: nothing in any.
  [[nodiscard]] virtual std::vector<std::optional<QkClipTarget>> qk_clips() const { return {}; }
  [[nodiscard]] virtual ForwardCost cost(std::int64_t context_length) const = 0;
};

/// What generation keeps between calls, for every layer.
class GenerationState {
 public:
  GenerationState() = default;
  GenerationState(const GenerationState&) = delete;
  GenerationState& operator=(const GenerationState&) = delete;
  virtual ~GenerationState() = default;
  /// Tokens seen so far.
  [[nodiscard]] virtual std::int64_t length() const = 0;
};

/// A model that predicts the next token.
class LanguageModel : public Model {
 public:
  [[nodiscard]] virtual std::int64_t vocab_size() const = 0;
  /// Positions the model is built for.
  [[nodiscard]] virtual std::int64_t context_length() const = 0;
  /// The longest sequence it can read; none: there is no end (positions that are computed, not learned).
  [[nodiscard]] virtual std::optional<std::int64_t> longest_sequence() const = 0;
  /// Logits of every position, f32: for comparison with other programs.
  /// Shapes:  tokens_BT i32 -> (B, T, V)
  [[nodiscard]] virtual Tensor logits(const Tensor& tokens_BT) = 0;
  [[nodiscard]] virtual std::unique_ptr<GenerationState> start(std::int64_t batch,
                                                               std::int64_t capacity) const = 0;
  /// Appends tokens to the running sequences and returns the logits after the last one, f32.
  /// Shapes:  tokens_BT i32 -> (B, V)
  [[nodiscard]] virtual Tensor next_logits(const Tensor& tokens_BT, GenerationState& state) = 0;
};

/// What a model gets from the run around it.
struct ModelContext {
  /// Of the tokenizer: the default of model.vocab_size.
  std::int64_t vocab_size = 0;
  /// Of the data: the default of model.context_length.
  std::int64_t context_length = 0;
  std::uint64_t seed = 0;
  Dtype compute = Dtype::kF32;
  Dtype master = Dtype::kF32;
  Device device = kCpu;
  /// Ranks that share the flat parameter buffers evenly (ZeRO-1).
  std::int64_t parameter_shares = 1;
  std::vector<Choice<Regularizer>> regularizers{};
  /// Parameters and states will be read from a checkpoint: what it costs to find their start is spared.
  bool restored = false;
};

/// What a recipe can be checked against before a model is made. Configs say it: `ModelFacts facts(const ModelContext&) const`.
struct ModelFacts {
  bool isolates_documents = false;  // every mixer keeps packed documents apart
  bool has_probabilities = false;   // some mixer has an entropy
  bool has_temperature = false;     // some mixer learns a softmax temperature
  bool has_token_head = false;      // it predicts tokens
};

/// Kinds register themselves by name (recipe key model.kind).
template <>
struct RegistryTraits<Model> {
  static constexpr std::string_view kFamily = "model";
  using Context = ModelContext;
  using Make = std::unique_ptr<Model>(const ModelContext&);
  using Facts = ModelFacts;
};

}  // namespace clausius
