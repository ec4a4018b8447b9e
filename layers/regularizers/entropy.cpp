// SPDX-License-Identifier: Apache-2.0
// entropy: pushes the entropy of attention heads towards thresholds that are learned with the model.
#include <algorithm>
#include <cmath>

#include "autograd/rules/binary.h"
#include "autograd/rules/entropy_penalty.h"
#include "core/checked.h"
#include "layers/regularizers/regularizer.h"

// Legend: B batch, H heads, T tokens.
namespace clausius {
namespace {

enum class Reduction { kMean, kSum, kHeadMean };
constexpr auto words_of(Reduction /*unused*/) {
  return words("mean", "sum", "head_mean");
}

enum class Maximum { kLogContext, kCausal };
constexpr auto words_of(Maximum /*unused*/) {
  return words("log_context", "causal");
}

struct EntropyConfig {
  static constexpr std::string_view kDoc =
      "Squared distance of head entropies from learned thresholds, where it is beyond a tolerance.";

  double weight = 0.16;
  Anneal anneal = Anneal::kNone;
  Reduction reduction = Reduction::kMean;
  double tolerance = 0.2;
  double threshold_init = 0.5;
  bool learn_threshold = true;
  Maximum maximum = Maximum::kLogContext;
  std::int64_t skip_rows = 0;

  void visit(ConfigVisitor& v) {
    v.field("weight", weight, "share of the term in the loss", non_negative);
    v.field("anneal", anneal, "how the weight falls to 0 at the end of the run");
    v.field("reduction", reduction,
            "mean or sum over rows of the global batch, or one deviation for each sample and head");
    v.field("tolerance", tolerance, "deviations up to this share of the maximum cost nothing",
            zero_to_one);
    v.field("threshold_init", threshold_init, "start of the thresholds, shares of the maximum",
            zero_to_one);
    v.field("learn_threshold", learn_threshold, "thresholds are trained, one per head and layer");
    v.field("maximum", maximum,
            "largest entropy: log_context = log T, causal = log(T!) / T, T = model.context_length");
    v.field("skip_rows", skip_rows, "first rows of each document left out", non_negative);
  }
  void validate(const ConfigCheck& check) const {
    check.warn_unless(tolerance < std::max(threshold_init, 1.0 - threshold_init), "tolerance",
                      "no entropy is further than ", std::max(threshold_init, 1.0 - threshold_init),
                      " of the maximum from the thresholds' start: this term does nothing");
    check.warn_unless(reduction != Reduction::kSum, "reduction",
                      "sum grows with the batch; mean keeps its strength");
  }
  [[nodiscard]] RegularizerFacts facts() const {
    return {
        .needs_probabilities = true, .skip_rows = skip_rows, .anneals = anneal != Anneal::kNone};
  }
};

double maximum_entropy(Maximum kind, std::int64_t context_length) {
  const auto length = static_cast<double>(context_length);
  return kind == Maximum::kCausal ? std::lgamma(length + 1.0) / length : std::log(length);
}

/// Mean over layers and heads of the penalty; see ops::entropy_penalty.
/// Parameters: threshold.N [H] for each layer N with entropies, if learned.
/// Source:  Jha and Reagen 2025, "Entropy-Guided Attention for Private LLMs", algorithm 1 and appendix.
class Entropy final : public Regularizer {
 public:
  Entropy(const EntropyConfig& config, const RegularizerShape& shape, const InitStream& init)
      : config_(config) {
    const auto layers = std::count_if(shape.heads_per_layer.begin(), shape.heads_per_layer.end(),
                                      [](std::int64_t heads) { return heads > 0; });
    CLS_CHECK(layers > 0, ConfigError,
              "regularizers.entropy: no mixer of this model reports entropies");
    for (std::size_t i = 0; i < shape.heads_per_layer.size(); ++i) {
      const std::int64_t heads = shape.heads_per_layer[i];
      Layer layer{
          .options = {.of_means = config.reduction == Reduction::kHeadMean,
                      .maximum = maximum_entropy(config.maximum, shape.context_length),
                      .tolerance = config.tolerance,
                      .skip_rows = config.skip_rows,
                      .scale = heads > 0 ? 1.0 / static_cast<double>(heads * layers) : 0.0}};
      if (heads > 0 && config.learn_threshold) {
        layer.learned = &init.constant(concat("threshold.", i), Role::kThreshold, {heads},
                                       config.threshold_init);
      }
      layers_.push_back(std::move(layer));
    }
  }

  std::string_view name() const override { return "entropy"; }

  double weight(std::int64_t step, std::int64_t steps) const override {
    return config_.weight * anneal_factor(config_.anneal, step, steps);
  }

  // Positions restart with each document, whose borders the host knows.
  double count(const Batch& batch) const override {
    const std::int64_t samples = batch.inputs_BT.size(0);
    const std::int64_t length = batch.inputs_BT.size(1);
    std::vector<std::int64_t> rows(static_cast<std::size_t>(samples),
                                   std::max<std::int64_t>(0, length - config_.skip_rows));
    if (batch.cu_seqlens.defined()) {
      std::fill(rows.begin(), rows.end(), 0);
      const auto borders = batch.cu_seqlens.span<std::int32_t>();
      for (std::size_t d = 0; d + 1 < borders.size(); ++d) {
        const std::int64_t counted = borders[d + 1] - borders[d] - config_.skip_rows;
        if (counted > 0) {
          rows[static_cast<std::size_t>(borders[d] / length)] += counted;
        }
      }
    }
    double total = 0;
    for (const std::int64_t of_sample : rows) {
      total += config_.reduction == Reduction::kHeadMean ? (of_sample > 0 ? 1.0 : 0.0)
                                                         : static_cast<double>(of_sample);
    }
    return total;
  }

  bool averages() const override { return config_.reduction != Reduction::kSum; }

  Variable sum(const Telemetry& telemetry, const Batch& batch) const override {
    Variable total;
    for (const AttentionObservation& observed : telemetry.attention()) {
      const Layer& layer = layers_.at(static_cast<std::size_t>(observed.layer));
      const Variable penalty =
          entropy_penalty(observed.entropy_BHT, threshold_of(layer, observed.entropy_BHT.value()),
                          observed.outcomes_BT, batch.positions_BT, layer.options);
      total = total.defined() ? add(total, penalty) : penalty;
    }
    CLS_CHECK(total.defined(), InternalError, "no layer reported its entropies");
    return total;
  }

 private:
  struct Layer {
    ops::EntropyPenaltyOptions options;
    Parameter* learned = nullptr;
  };

  Variable threshold_of(const Layer& layer, const Tensor& entropy_BHT) const {
    return layer.learned != nullptr
               ? layer.learned->variable()
               : Variable(Tensor::full({entropy_BHT.size(1)}, config_.threshold_init,
                                       entropy_BHT.dtype(), entropy_BHT.device()));
  }

  EntropyConfig config_;
  std::vector<Layer> layers_;
};

CLS_REGISTER(Regularizer, "entropy", Entropy, EntropyConfig);

}  // namespace
}  // namespace clausius
