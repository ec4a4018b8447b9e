// SPDX-License-Identifier: Apache-2.0
// The recipe keys of decoder_lm and the rules between them.
#include <algorithm>
#include <cmath>

#include "layers/models/decoder_lm.h"

namespace clausius {

LayerShape DecoderLmConfig::layer_shape(std::int64_t index, const ModelContext& context) const {
  const std::int64_t divided = num_heads > 0 ? model_dim / num_heads : 0;
  return {.model_dim = model_dim,
          .num_heads = num_heads,
          .num_kv_heads = num_kv_heads.value_or(num_heads),
          .head_dim = head_dim.value_or(divided),
          .bias = bias,
          .layer_index = index,
          .num_layers = layers,
          .context_length = context_length.value_or(context.context_length)};
}

void DecoderLmConfig::visit(ConfigVisitor& v, const ModelContext& context) {
  v.required("layers", layers, "blocks", at_least(1));
  v.required("model_dim", model_dim, "width of the residual stream", at_least(1));
  v.required("num_heads", num_heads, "query heads of a mixer", at_least(1));
  v.derived(
      "num_kv_heads", num_kv_heads, [&] { return num_heads; }, "num_heads", "key and value heads",
      at_least(1));
  v.derived(
      "head_dim", head_dim, [&] { return num_heads > 0 ? model_dim / num_heads : 0; },
      "model_dim / num_heads", "width of a head", at_least(1));
  v.field("bias", bias, "biases in the linear layers");
  v.field("dropout", dropout, "on the embedding and on each branch", zero_to_one);
  v.field("residual", residual, "branches are added to their input");
  v.derived(
      "context_length", context_length, [&] { return context.context_length; },
      "data.context_length", "positions the model is built for", at_least(2));
  const LayerShape shape = layer_shape(0, context);
  const PerLayer<LayerShape> per_layer{layers, shape};
  v.field_in(per_layer, "mixer", mixer, "what mixes positions, for all layers or a pattern");
  v.field_in(per_layer, "norm", norm, "normalisation, for all layers or a pattern");
  v.field("final_norm", final_norm,
          "before the head; auto: the norm's kind when its place is pre, else none");
  v.field_in(per_layer, "feed_forward", feed_forward,
             "the second branch, for all layers or a pattern");
  v.field_in(per_layer, "position", position, "how the model knows positions");
  v.derived(
      "vocab_size", vocab_size,
      [&] { return context.vocab_size > 0 ? std::optional(context.vocab_size) : std::nullopt; },
      "the tokenizer's", "rows of the embedding; more than the tokenizer's pads", at_least(2));
  v.field("tie_embeddings", tie_embeddings, "the head is the embedding");
  v.field("embedding_scale", embedding_scale,
          "multiplies the embedding; sqrt_dim = sqrt(model_dim)", positive);
  v.field("init", init, "how weights start");
  v.field("linear", linear, "what the linear maps have in common");
}

ModelFacts DecoderLmConfig::facts(const ModelContext& context) const {
  ModelFacts facts{.isolates_documents = true, .has_probabilities = false, .has_token_head = true};
  for (const Choice<SequenceMixer>& choice : mixer.choices()) {
    const MixerTraits traits = choice.facts(layer_shape(0, context));
    facts.isolates_documents = facts.isolates_documents && traits.isolates_documents;
    facts.has_probabilities = facts.has_probabilities || traits.has_probabilities;
    facts.has_temperature = facts.has_temperature || traits.has_temperature;
  }
  return facts;
}

namespace {

// Parts that are named must be there.
void check_reparam(const DecoderLmConfig& config,
                   const ConfigCheck& check,
                   const LayerShape& shape) {
  const ReparamFacts facts = config.linear.reparam.facts();
  const auto* parts = std::get_if<std::vector<LinearPart>>(&facts.apply_to);
  const auto named = [&](LinearPart part) {
    return parts != nullptr && std::find(parts->begin(), parts->end(), part) != parts->end();
  };
  const std::vector<Choice<SequenceMixer>> mixers = config.mixer.choices();
  const std::vector<Choice<FeedForward>> branches = config.feed_forward.choices();
  const std::string key = "linear.reparam.apply_to";
  check.that(!named(LinearPart::kHead) || !config.tie_embeddings, key,
             "the head is the embedding, whose rows are also looked up; set tie_embeddings: false, "
             "or leave head out");
  const bool scaled_away = facts.scale_free && (applies(facts.apply_to, LinearPart::kQ) ||
                                                applies(facts.apply_to, LinearPart::kK));
  check.that(!scaled_away ||
                 std::none_of(mixers.begin(), mixers.end(),
                              [&](const auto& choice) { return choice.facts(shape).clips_qk; }),
             key,
             "qk_clip scales the weights of q and k, which does nothing under this "
             "reparametrisation; name other parts, or leave qk_clip out");
  check.that(!named(LinearPart::kGate) ||
                 std::any_of(mixers.begin(), mixers.end(),
                             [&](const auto& choice) { return choice.facts(shape).has_gate; }),
             key, "no mixer of this model has an output gate");
  check.that(!named(LinearPart::kFeedForward) ||
                 std::any_of(branches.begin(), branches.end(),
                             [](const auto& choice) { return choice.kind() != "none"; }),
             key, "no layer of this model has a feed-forward");
}

}  // namespace

void DecoderLmConfig::validate(const ConfigCheck& check, const ModelContext& context) const {
  check.that(head_dim.has_value() && (check.written("head_dim") || model_dim % num_heads == 0),
             "num_heads", num_heads, " heads do not divide model_dim ", model_dim,
             "; give head_dim, or choose a divisor");
  const std::int64_t kv_heads = num_kv_heads.value_or(num_heads);
  check.that(num_heads % kv_heads == 0, "num_kv_heads", kv_heads, " does not divide num_heads ",
             num_heads);
  check.that(vocab_size.value_or(context.vocab_size) >= context.vocab_size, "vocab_size",
             vocab_size.value_or(0), " is less than the tokenizer's ", context.vocab_size);
  const LayerShape shape = layer_shape(0, context);
  bool some_rotate = false;
  for (const Choice<Position>& choice : position.choices()) {
    const PositionTraits traits = choice.facts(shape);
    some_rotate = some_rotate || traits.rotates;
    check.that(!(traits.on_input && position.is_list()), "position", choice.kind(),
               " acts on the input of the model; it cannot stand in a per-layer pattern");
    check.that(!traits.limited || context.context_length <= shape.context_length, "context_length",
               choice.kind(), " positions end at ", shape.context_length,
               ", and the data has rows of ", context.context_length, " tokens");
  }
  check_reparam(*this, check, shape);
  bool some_take = false;
  bool some_temperature = false;
  for (const Choice<SequenceMixer>& choice : mixer.choices()) {
    const MixerTraits traits = choice.facts(shape);
    some_take = some_take || traits.takes_rope;
    some_temperature = some_temperature || traits.has_temperature;
    check.that(!traits.limited || context.context_length <= shape.context_length, "context_length",
               "temperatures per position end at ", shape.context_length,
               ", and the data has rows of ", context.context_length, " tokens");
    check.that(!(some_rotate && traits.takes_rope) || traits.rope_dim % 2 == 0,
               traits.rope_dim == shape.head_dim ? "head_dim" : "mixer",
               "rope needs an even head_dim, not ", traits.rope_dim);
  }
  check.that(!some_rotate || some_take || !check.written("position"), "position",
             "no mixer of this model takes rope");
  std::optional<double> slope;
  for (const Choice<FeedForward>& choice : feed_forward.choices()) {
    const FeedForwardTraits traits = choice.facts(shape);
    check.that(residual || !traits.scales_residual, "feed_forward",
               "scale: learned multiplies the residual, and model.residual is false");
    check.that(!traits.shared_slope || slope.value_or(*traits.shared_slope) == *traits.shared_slope,
               "feed_forward", "one slope for all layers starts at ", slope.value_or(0.0),
               " or at ", traits.shared_slope.value_or(0.0), ", not at both");
    slope = traits.shared_slope ? traits.shared_slope : slope;
  }
  for (const Choice<Norm>& choice : norm.choices()) {
    check.warn_unless(
        choice.kind() != "none" || some_temperature || linear.reparam.kind() == "sigma", "norm",
        "a model without norms may diverge");
  }
}

}  // namespace clausius
