// SPDX-License-Identifier: Apache-2.0
// Event files: the run as TensorBoard shows it.
#pragma once

#include <filesystem>
#include <string_view>

#include "train/monitor/tensorboard/event_file.h"
#include "train/observer.h"

namespace clausius {

/// One event for every sampled step and evaluation, each written at once; nothing on other steps.
///   scalars      under the names of metrics.jsonl: loss, lr, grad_norm, update_norm, tokens_per_second, val_loss,
///                val_bits_per_byte, aux_losses/<name>; means over heads: entropy_mean/all, entropy_normalized/all, and of
///                each layer that has heads: entropy_mean/layer_03
///   histograms   normalised entropies of the heads: entropy_normalized_heads/all, entropy_normalized_heads/layer_03
///   images       normalised entropies, layers by heads: entropy_normalized_map
///   text         recipe
///   hparams      every number, flag and text of the recipe by its dotted key
class TensorBoardLog final : public TrainingObserver {
 public:
  /// `recipe`: recipe.resolved.yaml. `steps_done`: where the run begins; TensorBoard drops what earlier files of the
  /// directory say about later steps. Errors: IoError.
  TensorBoardLog(const std::filesystem::path& directory,
                 std::string_view recipe,
                 std::int64_t steps_done);

  void on_step(const StepReport& report) override;
  void on_evaluation(std::int64_t step, const EvaluationReport& report) override;
  void on_event(std::int64_t step, std::string_view event, std::string_view message) override;

 private:
  EventFile file_;
};

}  // namespace clausius
