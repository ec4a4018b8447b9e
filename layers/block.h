// SPDX-License-Identifier: Apache-2.0
// One block of a decoder: a sequence mixer and a feed-forward, each with its norm and residual.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "autograd/variable.h"
#include "layers/context.h"
#include "layers/feed_forward/feed_forward.h"
#include "layers/mixer.h"
#include "layers/norms/norm.h"

// Legend: B batch, T tokens, M model dim.
namespace clausius {

/// What a block is made of.
struct BlockParts {
  Choice<SequenceMixer> mixer;
  Choice<Norm> norm;
  Choice<FeedForward> feed_forward;
  double dropout = 0.0;
  bool residual = true;
};

/// pre:  x + mixer(norm(x)), then x + feed_forward(norm(x)).  post: norm(x + mixer(x)), then norm(x + feed_forward(x)). A feed-forward with
/// a learned scale makes its sum beta x + feed_forward / alpha.
/// Parameters: mixer.*, mixer_norm.*, feed_forward.*, feed_forward_norm.*.
/// Dropout acts on each branch in training.
class Block {
 public:
  Block(const BlockParts& parts, const LayerShape& shape, const InitStream& init);

  /// Training, evaluation and prefill (with a state).
  [[nodiscard]] Variable forward(const Variable& x_BTM,
                                 const SequenceContext& context,
                                 MixerState* state = nullptr) const;
  [[nodiscard]] SequenceMixer& mixer() const { return *mixer_; }
  [[nodiscard]] const FeedForward& feed_forward() const { return *feed_forward_; }

 private:
  /// The branch as it is added: dropped out in training.
  [[nodiscard]] Variable kept(const Variable& branch,
                              const std::string& path,
                              const SequenceContext& context) const;
  [[nodiscard]] Variable join_feed_forward(const Variable& x,
                                           const Variable& branch,
                                           const SequenceContext& context) const;

  double dropout_;
  bool residual_;
  std::string mixer_path_;
  std::string feed_forward_path_;
  std::unique_ptr<SequenceMixer> mixer_;
  std::unique_ptr<FeedForward> feed_forward_;
  std::unique_ptr<Norm> mixer_norm_;
  std::unique_ptr<Norm> feed_forward_norm_;
};

}  // namespace clausius
