// SPDX-License-Identifier: Apache-2.0
// SequenceMixer: the plug every attention method fits into.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "autograd/parameter.h"
#include "autograd/variable.h"
#include "core/ops/qk_clip/qk_clip.h"
#include "core/registry.h"
#include "layers/context.h"
#include "layers/init_stream.h"

// Legend: B batch, T tokens, M model dim.
namespace clausius {

/// What a mixer can do; recipe validation refuses by name what it cannot.
struct MixerTraits {
  bool has_probabilities = false;   // rows have an entropy
  bool isolates_documents = false;  // packed documents do not see each other
  bool causal_only = false;
  bool bounded_state = false;  // the state of generation does not grow with length
  bool takes_rope = false;     // applies context.rope to q and k
  std::int64_t rope_dim = 0;   // over this width
  bool limited = false;        // knows no position at or above the model's context_length
  bool has_temperature = false;
  bool has_gate = false;  // a matrix of part `gate`
  bool clips_qk = false;  // its q and k are plain projections, and may be scaled after an update
};

/// What QK-clip scales in one layer.
struct QkClipTarget {
  ops::QkClipPlan plan{};
  Parameter* weight = nullptr;  // rows of q, then of k, then others
  Parameter* q_bias = nullptr;  // nullptr where there is none
  Parameter* k_bias = nullptr;
};

/// What a mixer remembers of the sequences it generates (keys and values, a recurrent state, ...).
class MixerState {
 public:
  MixerState() = default;
  MixerState(const MixerState&) = delete;
  MixerState& operator=(const MixerState&) = delete;
  virtual ~MixerState() = default;
  /// Tokens seen so far, the same for every sequence of the batch.
  [[nodiscard]] virtual std::int64_t length() const = 0;
};

class SequenceMixer {
 public:
  SequenceMixer() = default;
  SequenceMixer(const SequenceMixer&) = delete;
  SequenceMixer& operator=(const SequenceMixer&) = delete;
  virtual ~SequenceMixer() = default;

  /// Training, evaluation and prefill. With a state (empty when it starts) the tokens are appended to it as well.
  /// Shapes:  x_BTM -> (B, T, M)
  [[nodiscard]] virtual Variable forward(const Variable& x_BTM,
                                         const SequenceContext& context,
                                         MixerState* state) = 0;
  /// The next T >= 1 tokens of running sequences, under NoGrad.
  /// Value:   equal to the last T rows of forward over the whole sequence, up to rounding.
  [[nodiscard]] virtual Variable decode(const Variable& x_BTM,
                                        const SequenceContext& context,
                                        MixerState& state) = 0;
  /// An empty state for `batch` sequences of at most `capacity` tokens.
  [[nodiscard]] virtual std::unique_ptr<MixerState> make_state(std::int64_t batch,
                                                               std::int64_t capacity) const = 0;
  /// Heads whose entropy telemetry reports; 0 for mixers without probabilities.
  [[nodiscard]] virtual std::int64_t entropy_heads() const = 0;
  /// Multiplies the learned softmax temperature of a head by `factor`; false: there is none.
  virtual bool raise_temperature(std::int64_t /*head*/, double /*factor*/) { return false; }
  /// Width that rope tables of this mixer have; 0 where it takes none.
  [[nodiscard]] virtual std::int64_t rope_dim() const = 0;
  /// What is clipped after each update by the largest logits that telemetry got; none: nothing.
  [[nodiscard]] virtual std::optional<QkClipTarget> qk_clip() const { return std::nullopt; }
  /// Arithmetic of mixing (not of the projections) in a forward pass, averaged over the tokens of a full row.
  [[nodiscard]] virtual double mixing_flops_per_token(std::int64_t context_length) const = 0;
};

/// Kinds register themselves by name (recipe key model.mixer). Their configs say the traits: `MixerTraits facts() const`.
template <>
struct RegistryTraits<SequenceMixer> {
  static constexpr std::string_view kFamily = "mixer";
  using Context = LayerShape;
  using Make = std::unique_ptr<SequenceMixer>(const LayerShape&, const InitStream&);
  using Facts = MixerTraits;
};

}  // namespace clausius
