// SPDX-License-Identifier: Apache-2.0
// From monitor.observe to tables and names.
#include "train/monitor/observation.h"

#include <algorithm>
#include <array>

namespace clausius {
namespace {

struct HeadKey {
  Observable what;
  const char* key;
  double HeadEntropy::*member;
};
constexpr std::array kHeadKeys = {
    HeadKey{Observable::kLowRows, "low_rows", &HeadEntropy::low_rows},
    HeadKey{Observable::kEntropyFloor, "entropy_floor", &HeadEntropy::entropy_floor},
    HeadKey{Observable::kSinkMass, "sink_mass", &HeadEntropy::sink_mass},
};

bool has_heads(const Model& model) {
  const std::vector<std::int64_t> heads = model.heads_per_layer();
  return std::ranges::any_of(heads, [](std::int64_t count) { return count > 0; });
}

bool is_capped(const EntropyReport& entropy) {
  return std::ranges::any_of(entropy, [](const std::vector<HeadEntropy>& layer) {
    return std::ranges::any_of(
        layer, [](const HeadEntropy& head) { return head.max_logit_capped != head.max_logit; });
  });
}

}  // namespace

Observation::Observation(const MonitorConfig& config,
                         Model& model,
                         Communicator& communicator,
                         bool shared)
    : config_(config),
      model_(model),
      communicator_(communicator),
      shared_(shared),
      first_mass_(config.sink_above.has_value() || config.observes(Observable::kSinkMass)),
      layers_(model.layer_ranges()) {
  if (config.observes(Observable::kActivationNorms) && !layers_.empty()) {
    activations_ =
        std::make_unique<ActivationTotals>(std::ssize(layers_), model.parameters().device());
  }
  // Ranks hold equal weights: the one that writes measures them.
  if (config.observes(Observable::kSpectralNorms) && communicator.rank() == 0) {
    spectral_ = std::make_unique<SpectralNorms>(model.parameters());
  }
}

StepWatch Observation::watch(bool observed) {
  if (!observed) {
    return {};
  }
  if (activations_ != nullptr) {
    activations_->reset();
  }
  return {.telemetry = {.first_mass = first_mass_,
                        .spread = config_.observes(Observable::kEntropyFloor),
                        .activations = activations_ != nullptr},
          .activations = activations_.get()};
}

void Observation::report(const EntropyReport& entropy,
                         const StepOutcome& outcome,
                         StepReport& report) {
  if (has_heads(model_)) {
    for (const HeadKey& key : kHeadKeys) {
      if (config_.observes(key.what)) {
        report.heads.emplace_back(key.key, head_table(entropy, key.member));
      }
    }
    if (is_capped(entropy)) {
      report.heads.emplace_back("max_logit_capped",
                                head_table(entropy, &HeadEntropy::max_logit_capped));
    }
  }
  if (activations_ != nullptr) {
    report.layers.emplace_back("activation_norms", activations_->report(communicator_));
  }
  const auto norms = [&](Observable what, const char* key, const std::vector<double>& squares) {
    if (config_.observes(what) && !layers_.empty() && !squares.empty()) {
      report.layers.emplace_back(
          key, layer_norms(squares, model_.parameters().owned(), layers_, shared_, communicator_));
    }
  };
  norms(Observable::kGradientNorms, "gradient_norms", outcome.gradient_squares);
  norms(Observable::kUpdateNorms, "update_norms", outcome.update_squares);
  report_matrices(report);
}

std::vector<std::pair<std::string, double>> Observation::gammas() const {
  std::vector<std::pair<std::string, double>> gammas;
  if (config_.observes(Observable::kGammas) && model_.reparam() != nullptr) {
    for (const ReparamReading& matrix : model_.reparam()->readings()) {
      gammas.emplace_back(matrix.path, matrix.gamma);
    }
  }
  return gammas;
}

void Observation::report_matrices(StepReport& report) {
  if (auto all = gammas(); !all.empty()) {
    report.named.emplace_back("gammas", std::move(all));
  }
  if (spectral_ != nullptr) {
    if (auto all = spectral_->measure(); !all.empty()) {
      report.named.emplace_back("spectral_norms", std::move(all));
    }
  }
}

ObservedNames Observation::names() const {
  ObservedNames names;
  if (has_heads(model_)) {
    for (const HeadKey& key : kHeadKeys) {
      if (config_.observes(key.what)) {
        names.heads.emplace_back(key.key);
      }
    }
  }
  if (!layers_.empty()) {
    for (const auto& [what, key] : {std::pair(Observable::kActivationNorms, "activation_norms"),
                                    std::pair(Observable::kGradientNorms, "gradient_norms"),
                                    std::pair(Observable::kUpdateNorms, "update_norms")}) {
      if (config_.observes(what)) {
        names.layers.emplace_back(key);
      }
    }
  }
  std::vector<std::string> paths;
  for (const auto& [path, gamma] : gammas()) {
    paths.push_back(path);
  }
  if (!paths.empty()) {
    names.named.emplace_back("gammas", std::move(paths));
  }
  if (spectral_ != nullptr && !spectral_->paths().empty()) {
    names.named.emplace_back("spectral_norms", spectral_->paths());
  }
  return names;
}

}  // namespace clausius
