// SPDX-License-Identifier: Apache-2.0
// What the recipe's monitor.observe asks for: what steps are watched for, what is made of it, and under which names it is written.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/comm/communicator.h"
#include "layers/models/model.h"
#include "train/monitor/layer_norms.h"
#include "train/monitor/monitor_config.h"
#include "train/monitor/spectral_norms.h"
#include "train/step_report.h"
#include "train/train_step.h"

namespace clausius {

/// Names of what a run will observe, known before its first step: files make room for them.
struct ObservedNames {
  std::vector<std::string> heads;   // each [layer][head]
  std::vector<std::string> layers;  // each [layer]
  /// Each by name.
  std::vector<std::pair<std::string, std::vector<std::string>>> named;
};

/// The observations of one run. Nothing it does changes a number of the training.
class Observation {
 public:
  /// `shared`: each rank knows the gradients and updates of its own ranges alone.
  Observation(const MonitorConfig& config, Model& model, Communicator& communicator, bool shared);

  /// What every step of a run that records its steps reports: the sink's alarm costs a recording nothing.
  [[nodiscard]] TelemetryRequest in_recordings() const { return {.first_mass = first_mass_}; }
  /// What the step about to run is watched for. `observed`: it will be sampled.
  [[nodiscard]] StepWatch watch(bool observed);
  /// Fills heads, layers and named of a sampled step. Collective; waits for the device.
  void report(const EntropyReport& entropy, const StepOutcome& outcome, StepReport& report);

  [[nodiscard]] ObservedNames names() const;
  /// The spectral norms' vectors; null where they are not observed.
  [[nodiscard]] SpectralNorms* spectral_norms() { return spectral_.get(); }

 private:
  [[nodiscard]] std::vector<std::pair<std::string, double>> gammas() const;
  void report_matrices(StepReport& report);

  const MonitorConfig config_;
  Model& model_;
  Communicator& communicator_;
  bool shared_;
  bool first_mass_;
  std::vector<FlatRange> layers_;
  std::unique_ptr<ActivationTotals> activations_;
  std::unique_ptr<SpectralNorms> spectral_;
};

}  // namespace clausius
