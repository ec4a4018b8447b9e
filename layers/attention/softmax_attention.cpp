// SPDX-License-Identifier: Apache-2.0
// Softmax attention: the mixer every other one is compared with.
#include <cmath>
#include <memory>
#include <variant>

#include "autograd/rules/attention.h"
#include "autograd/rules/binary.h"
#include "autograd/rules/rope.h"
#include "autograd/rules/views.h"
#include "core/checked.h"
#include "core/ops/attention/attention_cudnn.h"
#include "core/ops/attention/attention_probe.h"
#include "layers/attention/head_projection.h"
#include "layers/attention/key_value_cache.h"
#include "layers/attention/output_gate.h"
#include "layers/attention/output_norm.h"
#include "layers/attention/qk_clip.h"
#include "layers/attention/qk_norm.h"
#include "layers/attention/sink.h"
#include "layers/attention/temperature.h"
#include "layers/linear.h"
#include "layers/mixer.h"

// Legend: B batch, T tokens, M model dim, H query heads, G key/value heads, D head dim.
namespace clausius {
namespace {

enum class Engine { kAuto, kOwn, kCudnn };

constexpr auto words_of(Engine /*unused*/) {
  return words("auto", "own", "cudnn");
}

/// How it is computed; changes bits, nothing else.
struct SoftmaxKernelConfig {
  Engine engine = Engine::kAuto;

  void visit(ConfigVisitor& v) {
    v.field(
        "engine", engine,
        "own reports entropies; cudnn: NVIDIA's kernels in training and evaluation, bf16, without "
        "entropies; auto = own");
  }
};

struct SoftmaxAttentionConfig {
  static constexpr std::string_view kDoc =
      "Softmax attention, causal, grouped heads, every head's entropy reported.";
  [[nodiscard]] MixerTraits facts(const LayerShape& shape) const {
    const bool own = kernel.engine != Engine::kCudnn;
    return {.has_probabilities = own,
            .isolates_documents = own,
            .takes_rope = true,
            .rope_dim = head_dim.value_or(shape.head_dim),
            .limited = std::holds_alternative<TemperaturePerHeadPosition>(temperature),
            .has_temperature = !std::holds_alternative<NoKind>(temperature),
            .has_gate = !std::holds_alternative<NoKind>(output_gate),
            .clips_qk = qk_clip.has_value()};
  }

  std::optional<std::int64_t> num_heads;
  std::optional<std::int64_t> num_kv_heads;
  std::optional<std::int64_t> head_dim;
  std::optional<BiasOf> bias;
  std::optional<std::int64_t> window;
  QkNormChoice qk_norm;
  Auto<double> softmax_scale;
  std::optional<double> logit_softcap;
  SinkKind sink = SinkKind::kNone;
  TemperatureChoice temperature;
  std::optional<QkClipConfig> qk_clip;
  OutputNormChoice output_norm;
  OutputGateChoice output_gate;
  double dropout = 0.0;
  SoftmaxKernelConfig kernel;

  void visit(ConfigVisitor& v, const LayerShape& shape) {
    v.derived(
        "num_heads", num_heads, [&] { return shape.num_heads; }, "the model's", "query heads",
        at_least(1));
    v.derived(
        "num_kv_heads", num_kv_heads, [&] { return shape.num_kv_heads; }, "the model's",
        "key and value heads; each serves num_heads / num_kv_heads query heads", at_least(1));
    v.derived(
        "head_dim", head_dim, [&] { return shape.head_dim; }, "the model's",
        "width of q, k and v per head", at_least(1));
    v.derived(
        "bias", bias, [&] { return BiasOf(shape.bias); }, "the model's",
        "projections with a bias; true = all four");
    v.field("window", window, "tokens seen back, the own one included; null = all", at_least(1));
    v.field("qk_norm", qk_norm, "q and k normalised over a head, before rotary positions");
    v.derived(
        "softmax_scale", softmax_scale, [&] { return default_scale(shape); },
        "head_dim^-1/2; 1 with qk_norm l2_norm, which learns scales", "multiplies q k^T", positive);
    v.field("logit_softcap", logit_softcap,
            "scores s become cap tanh(s / cap) before the softmax; null = no cap", positive);
    v.field("sink", sink, "learned: a logit per head, with value 0, joins every row");
    v.field("temperature", temperature, "a learned number that divides the scores");
    v.field(
        "qk_clip", qk_clip,
        "heads whose scores grew beyond a threshold have their q and k shrunk after the update");
    v.field("output_norm", output_norm,
            "of what attention returns, over all heads, before the gate");
    LayerShape own = shape;
    own.head_dim = head_dim.value_or(shape.head_dim);
    v.field_in(own, "output_gate", output_gate,
               "multiplies what attention returns, before the output projection");
    v.field("dropout", dropout,
            "share of the probabilities set to zero in training, after the entropy is taken",
            zero_to_one);
    v.field("kernel", kernel, "speed only");
  }
  [[nodiscard]] double default_scale(const LayerShape& shape) const {
    const auto dim = static_cast<double>(head_dim.value_or(shape.head_dim));
    return std::holds_alternative<QkL2Norm>(qk_norm) ? 1.0 : 1.0 / std::sqrt(dim);
  }
  void validate(const ConfigCheck& check, const LayerShape& shape) const {
    const std::int64_t query_heads = num_heads.value_or(shape.num_heads);
    const std::int64_t key_heads = num_kv_heads.value_or(shape.num_kv_heads);
    check.that(query_heads % key_heads == 0, "num_kv_heads", key_heads,
               " does not divide num_heads ", query_heads);
    check.that(!qk_clip || std::holds_alternative<NoKind>(qk_norm), "qk_clip",
               "qk_norm takes out again what is clipped; use one of them");
    if (kernel.engine == Engine::kCudnn) {
      check.that(dropout == 0, "dropout",
                 "engine cudnn draws random numbers of its own; use 0, or engine auto");
      check.that(!window, "window",
                 "engine cudnn is not asked for windows; use null, or engine auto");
      check.that(!logit_softcap, "logit_softcap",
                 "engine cudnn is not asked for it; use null, or engine auto");
      check.that(sink == SinkKind::kNone, "sink",
                 "engine cudnn is not asked for it; use none, or engine auto");
      check.that(!std::holds_alternative<QkL2Norm>(qk_norm), "qk_norm",
                 "engine cudnn takes one scale for all heads, and l2_norm learns one for each; use "
                 "rms_norm or none, or engine auto");
      check.that(!qk_clip, "qk_clip",
                 "engine cudnn reports no scores to clip by; use null, or engine auto");
      check.that(std::holds_alternative<NoKind>(temperature), "temperature",
                 "engine cudnn takes one scale for all heads; use none, or engine auto");
      check.that(ops::cudnn_attention_takes(head_dim.value_or(shape.head_dim)), "head_dim",
                 head_dim.value_or(shape.head_dim),
                 ": engine cudnn takes multiples of 8 up to 128");
      const std::string missing = ops::cudnn_attention_missing();
      check.that(missing.empty(), "kernel.engine", "cudnn: ", missing, "; use auto");
    }
  }
};

/// y = out(norm(softmax(cap(scale / t rope(norm(q)) rope(norm(k))^T)) v) * gate(x)), q, k, v = qkv(x).
/// Parameters: qkv.weight [(H + 2 G) D, M], rows of q, then k, then v; out.weight [M, H D] (residual output); biases where asked for;
///             those of qk_norm.h, sink.h, temperature.h, output_norm.h and output_gate.h, where the recipe names them.
/// Telemetry:  row entropies with gradient, outcomes (visible keys, and the sink), largest raw logit of each head; nothing with
///             engine cudnn.
class SoftmaxAttention final : public SequenceMixer {
 public:
  SoftmaxAttention(const SoftmaxAttentionConfig& config,
                   const LayerShape& shape,
                   const InitStream& init)
      : heads_{.query = config.num_heads.value_or(shape.num_heads),
               .key = config.num_kv_heads.value_or(shape.num_kv_heads),
               .dim = config.head_dim.value_or(shape.head_dim)},
        config_(config),
        softmax_scale_(config.softmax_scale.value_or(config.default_scale(shape))),
        path_(init.path()),
        qkv_(shape.model_dim, heads_, config.bias.value_or(BiasOf(shape.bias)), init.child("qkv")),
        qk_norm_(config.qk_norm, heads_, init),
        sink_(config.sink, heads_.query, init),
        temperature_(config.temperature, heads_.query, init),
        norm_(config.output_norm, heads_.query * heads_.dim, init),
        gate_(config.output_gate,
              heads_.query * heads_.dim,
              heads_.dim,
              init.for_part(LinearPart::kGate)),
        out_(heads_.query * heads_.dim,
             shape.model_dim,
             {.bias = has_bias(config.bias.value_or(BiasOf(shape.bias)), Projection::kOut),
              .residual_output = true},
             init.child("out").for_part(LinearPart::kOut)) {}

  Variable forward(const Variable& x_BTM,
                   const SequenceContext& context,
                   MixerState* state) override {
    if (state != nullptr) {
      return decode(x_BTM, context, *state);
    }
    const HeadProjections heads = project(x_BTM, context, 0);
    ops::AttentionOptions options = attention_options(context);
    if (config_.kernel.engine == Engine::kCudnn) {
      options.engine = ops::AttentionEngine::kCudnn;
      options.mask.cu_seqlens = context.cu_seqlens;  // which it refuses
    } else if (context.document_begin_BT.defined()) {
      options.mask.documents = {context.document_begin_BT, context.document_end_BT};
    } else {
      options.mask.cu_seqlens = context.cu_seqlens;
    }
    return finish(attend(heads.q_BTHD, heads.k_BTGD, heads.v_BTGD, options, context), x_BTM);
  }

  Variable decode(const Variable& x_BTM,
                  const SequenceContext& context,
                  MixerState& state) override {
    auto& cache = dynamic_cast<KeyValueCache&>(state);
    const HeadProjections heads = project(x_BTM, context, cache.length());
    ops::AttentionOptions options = attention_options(context);
    options.mask.query_offset = cache.length();
    cache.append(heads.k_BTGD.value(), heads.v_BTGD.value());
    return finish(
        attend(heads.q_BTHD, Variable(cache.keys()), Variable(cache.values()), options, context),
        x_BTM);
  }

  std::unique_ptr<MixerState> make_state(std::int64_t batch, std::int64_t capacity) const override {
    return std::make_unique<KeyValueCache>(batch, capacity, heads_.key, heads_.dim,
                                           qkv_.compute_dtype(), qkv_.device());
  }

  std::int64_t entropy_heads() const override {
    return config_.kernel.engine == Engine::kCudnn ? 0 : heads_.query;
  }

  std::int64_t rope_dim() const override { return heads_.dim; }

  bool raise_temperature(std::int64_t head, double factor) override {
    return temperature_.raise(head, factor);
  }

  std::optional<QkClipTarget> qk_clip() const override {
    if (!config_.qk_clip) {
      return std::nullopt;
    }
    return QkClipTarget{.plan = {.query_heads = heads_.query,
                                 .key_heads = heads_.key,
                                 .head_dim = heads_.dim,
                                 .threshold = config_.qk_clip->threshold,
                                 .balance = config_.qk_clip->balance},
                        .weight = &qkv_.weight(),
                        .q_bias = qkv_.bias_of(Projection::kQ),
                        .k_bias = qkv_.bias_of(Projection::kK)};
  }

  double mixing_flops_per_token(std::int64_t context_length) const override {
    const auto length = static_cast<double>(context_length);
    const auto window =
        static_cast<double>(std::min(context_length, config_.window.value_or(context_length)));
    // Mean number of visible keys of a causal row, halves of the diagonal not counted.
    const double keys = window - window * window / (2.0 * length);
    return 4.0 * static_cast<double>(heads_.query * heads_.dim) * keys;
  }

 private:
  /// `seen`: tokens before these, in the state.
  HeadProjections project(const Variable& x_BTM,
                          const SequenceContext& context,
                          std::int64_t seen) const {
    HeadProjections heads = qk_norm_.forward(qkv_.forward(x_BTM));
    if (context.rope.cos.defined()) {
      heads.q_BTHD = rope(heads.q_BTHD, context.positions_BT, context.rope);
      heads.k_BTGD = rope(heads.k_BTGD, context.positions_BT, context.rope);
    }
    heads.q_BTHD = temperature_.divide(heads.q_BTHD, context, seen);
    return heads;
  }

  ops::AttentionOptions attention_options(const SequenceContext& context) const {
    ops::AttentionOptions options;
    options.scale = softmax_scale_ * qk_norm_.score_factor();
    options.logit_softcap = config_.logit_softcap;
    options.mask.causal = context.causal;
    options.mask.window = config_.window;
    if (context.phase == Phase::kTrain && config_.dropout > 0) {
      options.dropout = config_.dropout;
      options.dropout_stream = context.stream(path_ + ".dropout");
      options.dropout_samples = context.sample_ids_B;
    }
    return options;
  }

  /// [H], multiplies the scores of each head; undefined where nothing does.
  Variable head_scale(const SequenceContext& context) const {
    const Variable learned = qk_norm_.head_scale();
    const Variable cooled = temperature_.inverse_per_head(context);
    if (!learned.defined() || !cooled.defined()) {
      return learned.defined() ? learned : cooled;
    }
    return mul(learned, cooled);
  }

  Variable attend(const Variable& q_BTHD,
                  const Variable& k_BSGD,
                  const Variable& v_BSGD,
                  const ops::AttentionOptions& options,
                  const SequenceContext& context) const {
    const Variable scale = head_scale(context);
    const Attention result = attention(q_BTHD, k_BSGD, v_BSGD, scale, sink_.logits(), options);
    if (context.telemetry != nullptr && result.entropy_BHT.defined()) {
      AttentionObservation observation{
          .layer = context.layer,
          .entropy_BHT = result.entropy_BHT,
          .outcomes_BT = ops::attention_visible_counts(options.mask, q_BTHD.size(0), q_BTHD.size(1),
                                                       k_BSGD.size(1), q_BTHD.value().device(),
                                                       sink_.outcomes()),
          .max_logit_BH = result.max_logit_BH,
          .logit_softcap = config_.logit_softcap.value_or(0.0)};
      const TelemetryRequest& request = context.telemetry->request();
      if (request.first_mass || request.spread) {
        const ops::AttentionProbe probe = ops::attention_probe(
            q_BTHD.value().transpose(1, 2), k_BSGD.value().transpose(1, 2), scale.value(),
            sink_.logits().value(), result.lse_BHT.value(), options, request.spread);
        observation.spread_BHT = probe.spread_BHT;
        observation.first_BHT = probe.first_BHT;
      }
      context.telemetry->add(std::move(observation));
    }
    return result.y_BTHE;
  }

  Variable finish(const Variable& y_BTHD, const Variable& x_BTM) const {
    const Variable y_BTF = reshape(y_BTHD, {y_BTHD.size(0), y_BTHD.size(1), -1});
    return out_.forward(gate_.forward(norm_.forward(y_BTF), x_BTM));
  }

  HeadCounts heads_;
  SoftmaxAttentionConfig config_;
  double softmax_scale_;
  std::string path_;
  HeadProjection qkv_;
  QkNorm qk_norm_;
  AttentionSink sink_;
  Temperature temperature_;
  OutputNorm norm_;
  OutputGate gate_;
  Linear out_;
};

CLS_REGISTER(SequenceMixer, "softmax", SoftmaxAttention, SoftmaxAttentionConfig);

}  // namespace
}  // namespace clausius
