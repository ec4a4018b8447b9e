// SPDX-License-Identifier: Apache-2.0
// One softmax mixer on its own, made from recipe text, for tests of its knobs.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "autograd/parameter.h"
#include "layers/initializers/initializer.h"
#include "layers/mixer.h"

// Legend: B batch, T tokens, M model dim.
namespace clausius::test {

inline constexpr std::int64_t kMixerDim = 8;  // M, of two heads
inline constexpr std::int64_t kMixerContext = 6;

struct MixerKnob {
  std::string name;
  std::string keys;
};
void PrintTo(const MixerKnob& knob, std::ostream* out);  // NOLINT: GoogleTest's name

/// Every knob of the mixer, and all together.
[[nodiscard]] std::vector<MixerKnob> mixer_knobs();

/// The choice `{kind: softmax, <knobs>}`.
[[nodiscard]] Choice<SequenceMixer> mixer_choice(const std::string& knobs);

/// Weights are normal with a deviation of 0.6, so that rows of attention are far from even; all else starts as the layer says.
class MixerBench {
 public:
  explicit MixerBench(const std::string& knobs,
                      Dtype master = Dtype::kF64,
                      Dtype compute = Dtype::kF32,
                      Device device = kCpu);

  [[nodiscard]] SequenceMixer& mixer() { return *mixer_; }
  [[nodiscard]] ParameterStore& store() { return store_; }
  /// Element `i` of the parameter at mixer.<name>.
  void set(const std::string& name, std::int64_t i, double value);
  void set_all(const std::string& name, double value);
  /// Takes the parameters of a mixer with the same knobs.
  void copy_from(const MixerBench& other);
  /// Moves every parameter that starts as a constant by up to 0.3, another amount for each element.
  void stir();

  /// Positions from `first` in every row, rope, evaluation.
  [[nodiscard]] SequenceContext context(std::int64_t batch,
                                        std::int64_t length,
                                        std::int64_t first = 0) const;
  /// Normal numbers in the compute type.
  [[nodiscard]] Tensor input(std::int64_t batch, std::int64_t length) const;
  /// Without gradients.
  [[nodiscard]] Tensor run(const Tensor& x_BTM,
                           const SequenceContext& context,
                           MixerState* state = nullptr);

 private:
  [[nodiscard]] Parameter& parameter(const std::string& name);

  ParameterStore store_;
  std::unique_ptr<SequenceMixer> mixer_;
};

/// Of the objective sum over i of cos(0.7 i) y_i + 0.3 times the sum of all entropies.
struct MixerGradients {
  Tensor dx;
  Tensor parameters;
};
[[nodiscard]] double objective_weight(std::int64_t i);
/// `again`: the mixer is run again in backward.
[[nodiscard]] MixerGradients gradients_of(MixerBench& bench,
                                          const Tensor& x,
                                          const SequenceContext& context,
                                          bool again = false);

}  // namespace clausius::test
