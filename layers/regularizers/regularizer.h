// SPDX-License-Identifier: Apache-2.0
// The regularizer family: what training adds to the loss beside the objective.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/variable.h"
#include "core/batch.h"
#include "core/registry.h"
#include "layers/init_stream.h"
#include "layers/telemetry.h"

namespace clausius {

/// What a regularizer is told of the model it belongs to.
struct RegularizerShape {
  std::vector<std::int64_t> heads_per_layer;  // 0: the layer has no entropies
  std::int64_t context_length = 0;            // of the model
};

/// One entry of `aux_losses`: weight(step) * (sums of all batches of the step) / (their counts, or 1). Sums and counts are added over
/// micro-batches and ranks, so the strength does not depend on the split; counts are known before the forward pass.
class Regularizer {
 public:
  Regularizer() = default;
  Regularizer(const Regularizer&) = delete;
  Regularizer& operator=(const Regularizer&) = delete;
  virtual ~Regularizer() = default;

  /// The key of the recipe, and of the metrics.
  [[nodiscard]] virtual std::string_view name() const = 0;
  /// `step` from 1 to `steps`.
  [[nodiscard]] virtual double weight(std::int64_t step, std::int64_t steps) const = 0;
  /// Whether the sum is divided by the count; if not, it stays a sum over the global batch.
  [[nodiscard]] virtual bool averages() const { return true; }
  /// What the sum is divided by, as far as this batch goes. Reads nothing that lives on a device.
  [[nodiscard]] virtual double count(const Batch& batch) const = 0;
  /// Whether the head makes this one's sum and gradient together with the loss's: the sum of squares of the log-sum-exp of its logits.
  /// sum() is then never called.
  [[nodiscard]] virtual bool of_head() const { return false; }
  /// Shapes:  -> [], with gradients for the observed values and for this regularizer's own parameters.
  [[nodiscard]] virtual Variable sum(const Telemetry& telemetry, const Batch& batch) const = 0;
};

enum class Anneal { kNone, kCosine, kLinear };
constexpr auto words_of(Anneal /*unused*/) {
  return words("none", "cosine", "linear");
}

/// 1, or falling to 0 at the last step.
[[nodiscard]] double anneal_factor(Anneal anneal, std::int64_t step, std::int64_t steps);

/// What a recipe can be checked against before a regularizer is made.
struct RegularizerFacts {
  bool needs_probabilities = false;  // some mixer must have an entropy
  bool needs_token_head = false;     // the model must predict tokens
  std::int64_t skip_rows = 0;        // rows of a sample that it leaves out
  bool anneals = false;              // its weight depends on the length of the run
};

/// Kinds register themselves by name: it is the key under `regularizers`.
template <>
struct RegistryTraits<Regularizer> {
  static constexpr std::string_view kFamily = "regularizer";
  using Context = NoContext;
  using Make = std::unique_ptr<Regularizer>(const RegularizerShape&, const InitStream&);
  using Facts = RegularizerFacts;
};

}  // namespace clausius
