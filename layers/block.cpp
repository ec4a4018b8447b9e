// SPDX-License-Identifier: Apache-2.0
// How the parts of a block are joined.
#include "layers/block.h"

#include "autograd/rules/binary.h"
#include "autograd/rules/dropout.h"
#include "core/error.h"

namespace clausius {

Block::Block(const BlockParts& parts, const LayerShape& shape, const InitStream& init)
    : dropout_(parts.dropout),
      residual_(parts.residual),
      mixer_path_(init.path_of("mixer.branch_dropout")),
      feed_forward_path_(init.path_of("feed_forward.branch_dropout")),
      mixer_(parts.mixer.make(shape, init.child("mixer"))),
      feed_forward_(parts.feed_forward.make(
          shape, init.child("feed_forward").for_part(LinearPart::kFeedForward))),
      mixer_norm_(parts.norm.make(shape, init.child("mixer_norm"))) {
  CLS_CHECK(residual_ || !feed_forward_->scale().present(), ConfigError, init.path(),
            ": feed_forward.scale multiplies the residual, and there is none");
  if (feed_forward_->present()) {
    feed_forward_norm_ = parts.norm.make(shape, init.child("feed_forward_norm"));
  }
}

Variable Block::kept(const Variable& branch,
                     const std::string& path,
                     const SequenceContext& context) const {
  const bool drop = context.phase == Phase::kTrain && dropout_ > 0;
  return drop ? dropout(branch, dropout_, context.stream(path), context.sample_ids_B) : branch;
}

Variable Block::join_feed_forward(const Variable& x,
                                  const Variable& branch,
                                  const SequenceContext& context) const {
  const Variable y = kept(branch, feed_forward_path_, context);
  if (feed_forward_->scale().present()) {
    return feed_forward_->scale().join(x, y, context.layer);
  }
  return residual_ ? add(x, y) : y;
}

Variable Block::forward(const Variable& x_BTM,
                        const SequenceContext& context,
                        MixerState* state) const {
  const bool pre = mixer_norm_->place() == NormPlace::kPre;
  const Variable mixed =
      kept(mixer_->forward(pre ? mixer_norm_->forward(x_BTM) : x_BTM, context, state), mixer_path_,
           context);
  Variable x = residual_ ? add(x_BTM, mixed) : mixed;
  x = pre ? x : mixer_norm_->forward(x);
  if (!feed_forward_->present()) {
    return x;
  }
  x = join_feed_forward(x, feed_forward_->forward(pre ? feed_forward_norm_->forward(x) : x),
                        context);
  return pre ? x : feed_forward_norm_->forward(x);
}

}  // namespace clausius
