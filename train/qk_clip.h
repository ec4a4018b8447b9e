// SPDX-License-Identifier: Apache-2.0
// QK-clip of a model: after each update, from the largest logits of the step over micro-batches and ranks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "layers/models/model.h"
#include "train/monitor/attention_entropy.h"
#include "train/monitor/head_table.h"

namespace clausius {

/// Every rank has the same maxima and parameters when it clips, so all of them keep the same bits. Moments of the optimizer stay as
/// they are.
class QkClip {
 public:
  /// Once the optimizer knows what is frozen.
  /// Errors: ConfigError for a projection that is to be clipped and is frozen.
  explicit QkClip(Model& model);

  /// Whether any layer clips.
  [[nodiscard]] bool active() const { return active_; }
  /// Reduces the maxima of `entropy` over all ranks, and clips by them. Collective where active; does not wait for a device.
  void apply(EntropyTotals& entropy, Communicator& communicator);
  /// Steps in which each head was clipped, since the run began; layers that do not clip are empty. Waits for a device.
  [[nodiscard]] HeadTable clips() const;
  /// Which layers clip and which do not, for the log; empty where not active.
  [[nodiscard]] std::string description() const;

  /// The counts, for checkpoints.
  [[nodiscard]] std::string state() const;
  /// Errors: DataError when the text is no state of this model.
  void restore(std::string_view state);

 private:
  std::vector<std::optional<QkClipTarget>> layers_;
  std::vector<Tensor>
      clips_;  // [H] f64 where the model is; undefined where the layer does not clip
  bool active_ = false;
};

}  // namespace clausius
