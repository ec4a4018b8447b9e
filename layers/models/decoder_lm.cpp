// SPDX-License-Identifier: Apache-2.0
// Construction and forward passes of decoder_lm.
#include "layers/models/decoder_lm.h"

#include <algorithm>
#include <cmath>

#include "autograd/recompute.h"
#include "autograd/rules/binary.h"
#include "autograd/rules/dropout.h"
#include "autograd/rules/embedding.h"
#include "autograd/rules/lm_head_cross_entropy.h"
#include "autograd/rules/views.h"
#include "core/checked.h"
#include "core/ops/linear/linear.h"

namespace clausius {
namespace {

Tensor positions_from(std::int64_t first, std::int64_t batch, std::int64_t count) {
  Tensor row = Tensor::empty({1, count}, Dtype::kI32);
  for (std::int64_t t = 0; t < count; ++t) {
    row.data<std::int32_t>()[t] = narrow<std::int32_t>(first + t);
  }
  return row.expand({batch, count}).contiguous();
}

}  // namespace

DecoderLm::DecoderLm(const DecoderLmConfig& config, const ModelContext& context)
    : store_(context.compute, context.master, context.device),
      reparam_(config.linear.reparam.make(store_, context.seed)),
      vocab_size_(config.vocab_size.value_or(context.vocab_size)),
      context_length_(config.context_length.value_or(context.context_length)),
      dropout_(config.dropout) {
  const bool by_width = std::holds_alternative<EmbeddingScale>(config.embedding_scale);
  embedding_scale_ = by_width ? std::sqrt(static_cast<double>(config.model_dim))
                              : std::get<double>(config.embedding_scale);
  const std::unique_ptr<Initializer> initializer = config.init.make();
  const InitStream init =
      InitStream(store_, *initializer, context.seed, config.layer_shape(0, context))
          .with_reparam(*reparam_);
  embedding_ =
      &init.child("embedding").weight("weight", Role::kEmbedding, {vocab_size_, config.model_dim});
  build_layers(config, context, init);
  build_ends(config, context, init);
  build_regularizers(context, init);
  store_.allocate(context.parameter_shares);
  reparam_->start(context.restored);
}

void DecoderLm::build_layers(const DecoderLmConfig& config,
                             const ModelContext& context,
                             const InitStream& init) {
  const std::vector<Choice<SequenceMixer>> mixers = config.mixer.expand(config.layers);
  const std::vector<Choice<Norm>> norms = config.norm.expand(config.layers);
  const std::vector<Choice<FeedForward>> feed_forwards = config.feed_forward.expand(config.layers);
  const std::vector<Choice<Position>> positions = config.position.expand(config.layers);
  if (positions[0].facts().on_input) {
    input_position_ = positions[0].make(init.shape(), init.child("position"));
  }
  for (std::size_t i = 0; i < mixers.size(); ++i) {
    const LayerShape shape = config.layer_shape(static_cast<std::int64_t>(i), context);
    const InitStream stream = init.with_shape(shape).child(concat("blocks.", i));
    const std::size_t first = store_.parameters().size();
    Layer layer;
    layer.block = std::make_unique<Block>(BlockParts{.mixer = mixers[i],
                                                     .norm = norms[i],
                                                     .feed_forward = feed_forwards[i],
                                                     .dropout = config.dropout,
                                                     .residual = config.residual},
                                          shape, stream);
    for (std::size_t p = first; p < store_.parameters().size(); ++p) {
      layer.parameters.push_back(&store_.parameters()[p]);
    }
    for (Parameter* shared : layer.block->feed_forward().shared_parameters()) {
      if (std::find(layer.parameters.begin(), layer.parameters.end(), shared) ==
          layer.parameters.end()) {
        layer.parameters.push_back(shared);
      }
    }
    if (positions[i].facts().rotates && mixers[i].facts(shape).takes_rope) {
      layer.position = positions[i].make(shape, stream.child("position"));
      layer.head_dim = layer.block->mixer().rope_dim();
    }
    layers_.push_back(std::move(layer));
  }
}

void DecoderLm::build_ends(const DecoderLmConfig& config,
                           const ModelContext& context,
                           const InitStream& init) {
  const Choice<Norm> last = config.norm.expand(config.layers).back();
  const LayerShape shape = config.layer_shape(config.layers - 1, context);
  const InitStream stream = init.child("final_norm");
  if (config.final_norm != FinalNorm::kAuto) {
    final_norm_ = Choice<Norm>(word_of(config.final_norm)).make(shape, stream);
  } else {
    // The last block's own norm where it stands before the branches: then nothing has normalised its output yet.
    ParameterStore scratch;
    const InitStream probe(scratch, *config.init.make(), 0, shape);
    const bool pre = last.make(shape, probe)->place() == NormPlace::kPre;
    final_norm_ = pre ? last.make(shape, stream) : Choice<Norm>("none").make(shape, stream);
  }
  if (config.tie_embeddings) {
    head_ = embedding_;
    store_.add_alias("head.weight", *embedding_);
  } else {
    const InitStream of_head = init.child("head").for_part(LinearPart::kHead);
    head_ = &of_head.weight("weight", Role::kHead, {vocab_size_, config.model_dim});
    head_scales_ = &of_head.reparametrize(*head_);
  }
}

void DecoderLm::build_regularizers(const ModelContext& context, const InitStream& init) {
  const RegularizerShape shape{.heads_per_layer = heads_per_layer(),
                               .context_length = context_length_};
  for (const Choice<Regularizer>& choice : context.regularizers) {
    regularizers_.push_back(choice.make(shape, init.child("regularizers").child(choice.kind())));
  }
}

void DecoderLm::reach(std::int64_t count) {
  if (count <= rope_positions_) {
    return;
  }
  // Generation beyond the context asks for one more each time: doubling keeps that cheap.
  rope_positions_ = std::max({count, context_length_, 2 * rope_positions_});
  for (Layer& layer : layers_) {
    if (layer.position != nullptr) {
      layer.rope = layer.position->table(layer.head_dim, rope_positions_, store_.master().dtype())
                       .to(store_.device());
    }
  }
}

SequenceContext DecoderLm::context_of(const Batch& batch, const ForwardOptions& options) const {
  return {.phase = options.phase,
          .positions_BT = batch.positions_BT,
          .cu_seqlens = batch.cu_seqlens,
          .document_begin_BT = batch.document_begin_BT,
          .document_end_BT = batch.document_end_BT,
          .sample_ids_B = batch.sample_ids_B,
          .seed = options.seed,
          .step = options.step,
          .telemetry = options.telemetry};
}

Variable DecoderLm::embed(const Tensor& tokens_BT, const SequenceContext& context) {
  Variable x = embedding(tokens_BT, embedding_->variable());
  if (embedding_scale_ != 1.0) {
    x = scale(x, embedding_scale_);
  }
  if (input_position_ != nullptr) {
    x = input_position_->add(x, context);
  }
  if (context.phase == Phase::kTrain && dropout_ > 0) {
    x = dropout(x, dropout_, context.stream("embedding.dropout"), context.sample_ids_B);
  }
  return x;
}

Variable DecoderLm::run_layer(Layer& layer,
                              const Variable& x,
                              const SequenceContext& context,
                              Recompute mode) {
  if (mode == Recompute::kNone || !x.tracked()) {
    return layer.block->forward(x, context);
  }
  // What the block observes leaves it as outputs, so that gradients of regularizers reach the recomputed values.
  std::vector<AttentionObservation> observed;
  const auto run = [block = layer.block.get(), context, &observed](std::span<const Variable> inputs,
                                                                   bool again) {
    Telemetry telemetry(context.telemetry != nullptr && !again ? context.telemetry->request()
                                                               : TelemetryRequest{});
    SequenceContext own = context;
    own.telemetry = context.telemetry != nullptr ? &telemetry : nullptr;
    std::vector<Variable> outputs = {block->forward(inputs[0], own)};
    for (const AttentionObservation& observation : telemetry.attention()) {
      outputs.push_back(observation.entropy_BHT);
    }
    if (!again) {
      observed = telemetry.attention();
    }
    return outputs;
  };
  std::vector<Variable> outputs = recompute(store_, layer.parameters, {&x, 1}, run);
  for (std::size_t i = 0; i < observed.size(); ++i) {
    observed[i].entropy_BHT = outputs[i + 1];
    context.telemetry->add(observed[i]);
  }
  return outputs[0];
}

Variable DecoderLm::hidden(const Batch& batch, const ForwardOptions& options) {
  SequenceContext context = context_of(batch, options);
  reach(batch.inputs_BT.size(1));
  Variable x = embed(batch.inputs_BT, context);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const ErrorFrame frame("layer");
    context.layer = static_cast<std::int64_t>(i);
    context.rope = layers_[i].rope;
    x = run_layer(layers_[i], x, context, options.recompute);
    if (context.telemetry != nullptr && context.telemetry->request().activations) {
      context.telemetry->add(ActivationObservation{.layer = context.layer, .x_BTM = x.value()});
    }
  }
  return final_norm_->forward(x);
}

ForwardLoss DecoderLm::forward_loss(const Batch& given, const ForwardOptions& options) {
  const Batch batch = given.to(store_.device());
  Telemetry telemetry;
  ForwardOptions observed = options;
  const bool regularized = options.phase == Phase::kTrain && !regularizers_.empty();
  if (regularized && observed.telemetry == nullptr) {
    observed.telemetry = &telemetry;
  }
  const LmHeadCrossEntropy loss = lm_head_cross_entropy(
      hidden(batch, observed), head_->variable(), batch.targets_BT, {},
      regularized ? head_share(options.regularizer_shares) : Tensor(), head_alpha());
  ForwardLoss result{.loss_sum = loss.loss_sum,
                     .optimized = loss.optimized,
                     .token_loss_N = loss.token_loss_N,
                     .log_sum_exp = loss.lse_sums.slice(0, 1, 3)};
  if (regularized) {
    for (const auto& regularizer : regularizers_) {
      result.regularizer_sums.push_back(regularizer->of_head()
                                            ? Variable(loss.lse_sums.select(0, 0))
                                            : regularizer->sum(*observed.telemetry, batch));
    }
  }
  return result;
}

Tensor DecoderLm::head_share(const Tensor& shares) const {
  for (std::size_t i = 0; i < regularizers_.size() && shares.defined(); ++i) {
    if (regularizers_[i]->of_head()) {
      return shares.select(0, static_cast<int>(i));
    }
  }
  return {};
}

std::vector<const Regularizer*> DecoderLm::regularizers() const {
  std::vector<const Regularizer*> all;
  for (const auto& regularizer : regularizers_) {
    all.push_back(regularizer.get());
  }
  return all;
}

std::vector<FlatRange> DecoderLm::layer_ranges() const {
  std::vector<FlatRange> ranges;
  std::int64_t end = 0;  // of the layers before
  for (const Layer& layer : layers_) {
    FlatRange range;
    for (const Parameter* parameter : layer.parameters) {
      if (parameter->offset() < end) {
        continue;  // shared with a layer before, whose it is
      }
      range.begin = range.size() == 0 ? parameter->offset() : range.begin;
      range.end = parameter->offset() + parameter->numel();
    }
    ranges.push_back(range);
    end = range.size() > 0 ? range.end : end;
  }
  return ranges;
}

bool DecoderLm::raise_temperature(std::int64_t layer, std::int64_t head, double factor) {
  return layers_.at(static_cast<std::size_t>(layer)).block->mixer().raise_temperature(head, factor);
}

std::vector<std::int64_t> DecoderLm::heads_per_layer() const {
  std::vector<std::int64_t> heads;
  for (const Layer& layer : layers_) {
    heads.push_back(layer.block->mixer().entropy_heads());
  }
  return heads;
}

std::vector<std::optional<QkClipTarget>> DecoderLm::qk_clips() const {
  std::vector<std::optional<QkClipTarget>> targets;
  for (const Layer& layer : layers_) {
    targets.push_back(layer.block->mixer().qk_clip());
  }
  return targets;
}

ForwardCost DecoderLm::cost(std::int64_t context_length) const {
  ForwardCost cost;
  for (const Parameter& parameter : store_.parameters()) {
    if (parameter.role() == Role::kMatrix) {
      cost.matmul_flops_per_token += 2.0 * static_cast<double>(parameter.numel());
    }
  }
  cost.matmul_flops_per_token += 2.0 * static_cast<double>(head_->numel());
  for (const Layer& layer : layers_) {
    cost.attention_flops_per_token += layer.block->mixer().mixing_flops_per_token(context_length);
  }
  return cost;
}

std::optional<std::int64_t> DecoderLm::longest_sequence() const {
  const bool tables = std::any_of(
      store_.parameters().begin(), store_.parameters().end(), [](const Parameter& parameter) {
        return parameter.role() == Role::kPosition ||
               (parameter.role() == Role::kTemperature && parameter.shape().rank() == 2);
      });
  return tables ? std::optional(context_length_) : std::nullopt;
}

Tensor DecoderLm::head_alpha() const {
  return head_scales_ == nullptr || head_scales_->empty() ? Tensor() : head_scales_->front().alpha;
}

Tensor DecoderLm::head_logits(const Tensor& x) {
  return ops::linear(x, head_->value(), {}, head_alpha()).to(store_.master().dtype());
}

Tensor DecoderLm::logits(const Tensor& tokens_BT) {
  const NoGrad no_grad(store_);
  Batch batch;
  batch.inputs_BT = tokens_BT;
  batch.positions_BT = positions_from(0, tokens_BT.size(0), tokens_BT.size(1));
  batch = batch.to(store_.device());
  return head_logits(hidden(batch, {.phase = Phase::kEvaluate}).value()).to(kCpu);
}

namespace {

class DecoderState final : public GenerationState {
 public:
  explicit DecoderState(std::vector<std::unique_ptr<MixerState>> mixers)
      : mixers_(std::move(mixers)) {}
  std::int64_t length() const override { return mixers_.front()->length(); }
  MixerState& mixer(std::size_t layer) { return *mixers_[layer]; }

 private:
  std::vector<std::unique_ptr<MixerState>> mixers_;
};

}  // namespace

std::unique_ptr<GenerationState> DecoderLm::start(std::int64_t batch, std::int64_t capacity) const {
  std::vector<std::unique_ptr<MixerState>> mixers;
  for (const Layer& layer : layers_) {
    mixers.push_back(layer.block->mixer().make_state(batch, capacity));
  }
  return std::make_unique<DecoderState>(std::move(mixers));
}

Tensor DecoderLm::next_logits(const Tensor& tokens_BT, GenerationState& state) {
  const NoGrad no_grad(store_);
  auto& mixers = dynamic_cast<DecoderState&>(state);
  const std::int64_t length = state.length();
  const std::int64_t count = tokens_BT.size(1);
  reach(length + count);
  SequenceContext context{
      .phase = Phase::kGenerate,
      .positions_BT = positions_from(length, tokens_BT.size(0), count).to(store_.device())};
  Variable x = embed(tokens_BT.to(store_.device()), context);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    context.layer = static_cast<std::int64_t>(i);
    context.rope = layers_[i].rope;
    x = layers_[i].block->forward(x, context, &mixers.mixer(i));
  }
  const Tensor last = x.value().slice(1, count - 1, count).contiguous();
  return head_logits(final_norm_->forward(Variable(last)).value()).select(1, 0).to(kCpu);
}

CLS_REGISTER(Model, "decoder_lm", DecoderLm, DecoderLmConfig);

}  // namespace clausius
