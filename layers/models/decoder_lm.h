// SPDX-License-Identifier: Apache-2.0
// decoder_lm: the causal language model every text recipe trains.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/config.h"
#include "core/config_pattern.h"
#include "layers/block.h"
#include "layers/feed_forward/feed_forward.h"
#include "layers/initializers/initializer.h"
#include "layers/mixer.h"
#include "layers/models/model.h"
#include "layers/norms/norm.h"
#include "layers/positions/position.h"

// Legend: B batch, T tokens, M model dim, V vocabulary.
namespace clausius {

enum class FinalNorm { kAuto, kNone, kRmsNorm, kLayerNorm };
constexpr auto words_of(FinalNorm /*unused*/) {
  return words("auto", "none", "rms_norm", "layer_norm");
}

enum class EmbeddingScale { kSqrtDim };
constexpr auto words_of(EmbeddingScale /*unused*/) {
  return words("sqrt_dim");
}

/// What all linear maps of a model have in common.
struct LinearConfig {
  Choice<Reparam> reparam{"none"};

  void visit(ConfigVisitor& v) {
    v.field("reparam", reparam, "what products read in place of the trained weights");
  }
};

struct DecoderLmConfig {
  static constexpr std::string_view kDoc =
      "A causal language model of blocks: sequence mixer and feed-forward.";

  std::int64_t layers = 0;
  std::int64_t model_dim = 0;
  std::int64_t num_heads = 0;
  std::optional<std::int64_t> num_kv_heads;
  std::optional<std::int64_t> head_dim;
  bool bias = false;
  double dropout = 0.0;
  bool residual = true;
  Pattern<SequenceMixer> mixer{"softmax"};
  Pattern<Norm> norm{"rms_norm"};
  FinalNorm final_norm = FinalNorm::kAuto;
  Pattern<FeedForward> feed_forward{"swiglu"};
  Pattern<Position> position{"rope"};
  Auto<std::int64_t> vocab_size;
  Auto<std::int64_t> context_length;
  bool tie_embeddings = true;
  std::variant<double, EmbeddingScale> embedding_scale = 1.0;
  Choice<Initializer> init{"normal"};
  LinearConfig linear;

  void visit(ConfigVisitor& v, const ModelContext& context);
  void validate(const ConfigCheck& check, const ModelContext& context) const;
  [[nodiscard]] ModelFacts facts(const ModelContext& context) const;
  /// What layer `index` inherits.
  [[nodiscard]] LayerShape layer_shape(std::int64_t index, const ModelContext& context) const;
};

/// logits = head(final_norm(blocks(embedding(tokens) * scale + positions))); the head is the embedding when tied.
/// Parameters: embedding.weight [V, M]; position.*; blocks.N.*; final_norm.*; head.weight [V, M] unless tied;
/// regularizers.NAME.*.
class DecoderLm final : public LanguageModel {
 public:
  DecoderLm(const DecoderLmConfig& config, const ModelContext& context);

  [[nodiscard]] ForwardLoss forward_loss(const Batch& batch,
                                         const ForwardOptions& options) override;
  [[nodiscard]] ParameterStore& parameters() override { return store_; }
  [[nodiscard]] std::vector<const Regularizer*> regularizers() const override;
  [[nodiscard]] Reparam* reparam() override { return reparam_->empty() ? nullptr : reparam_.get(); }
  [[nodiscard]] std::vector<std::int64_t> heads_per_layer() const override;
  [[nodiscard]] std::vector<FlatRange> layer_ranges() const override;
  bool raise_temperature(std::int64_t layer, std::int64_t head, double factor) override;
  [[nodiscard]] std::vector<std::optional<QkClipTarget>> qk_clips() const override;
  [[nodiscard]] ForwardCost cost(std::int64_t context_length) const override;
  [[nodiscard]] std::int64_t vocab_size() const override { return vocab_size_; }
  [[nodiscard]] std::int64_t context_length() const override { return context_length_; }
  [[nodiscard]] std::optional<std::int64_t> longest_sequence() const override;
  [[nodiscard]] Tensor logits(const Tensor& tokens_BT) override;
  [[nodiscard]] std::unique_ptr<GenerationState> start(std::int64_t batch,
                                                       std::int64_t capacity) const override;
  [[nodiscard]] Tensor next_logits(const Tensor& tokens_BT, GenerationState& state) override;

 private:
  struct Layer {
    std::unique_ptr<Block> block;
    std::unique_ptr<Position> position;  // rotations for the mixer
    std::int64_t head_dim = 0;
    ops::RopeTable rope;
    std::vector<Parameter*> parameters;  // of the block, for recomputation
  };

  void build_layers(const DecoderLmConfig& config,
                    const ModelContext& context,
                    const InitStream& init);
  void build_ends(const DecoderLmConfig& config,
                  const ModelContext& context,
                  const InitStream& init);
  void build_regularizers(const ModelContext& context, const InitStream& init);
  [[nodiscard]] SequenceContext context_of(const Batch& batch, const ForwardOptions& options) const;
  [[nodiscard]] Variable embed(const Tensor& tokens_BT, const SequenceContext& context);
  [[nodiscard]] Variable run_layer(Layer& layer,
                                   const Variable& x,
                                   const SequenceContext& context,
                                   Recompute recompute);
  /// Embedding to final norm, without a generation state.
  [[nodiscard]] Variable hidden(const Batch& batch, const ForwardOptions& options);
  /// What multiplies the logits; undefined: nothing.
  [[nodiscard]] Tensor head_alpha() const;
  /// The share of the regularizer that the head makes; undefined where there is none.
  [[nodiscard]] Tensor head_share(const Tensor& shares) const;
  [[nodiscard]] Tensor head_logits(const Tensor& x);
  /// Rope tables for positions below `count`.
  void reach(std::int64_t count);

  ParameterStore store_;
  std::unique_ptr<Reparam> reparam_;
  std::int64_t vocab_size_ = 0;
  std::int64_t context_length_ = 0;
  std::int64_t rope_positions_ = 0;
  double embedding_scale_ = 1.0;
  double dropout_ = 0.0;
  Parameter* embedding_ = nullptr;
  Parameter* head_ = nullptr;
  const RowScales* head_scales_ = nullptr;
  std::unique_ptr<Position> input_position_;
  std::vector<Layer> layers_;
  std::unique_ptr<Norm> final_norm_;
  std::vector<std::unique_ptr<Regularizer>> regularizers_;
};

}  // namespace clausius
