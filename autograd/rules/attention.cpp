// SPDX-License-Identifier: Apache-2.0
// Gradient rule of attention.
#include "autograd/rules/attention.h"

#include <array>
#include <utility>
#include <vector>

#include "autograd/tape.h"
#include "core/ops/accumulate/accumulate.h"

namespace clausius {
namespace {

// Heads before tokens, as the op wants them.
Tensor heads_first(const Tensor& x_BTHD) {
  return x_BTHD.transpose(1, 2);
}

// One of q, k, v in backward: the op writes its gradient straight into its place, unless another use has begun the sum there (an
// earlier one of q, k, v may be that use), which the gradient is then added to.
class InputGradient {
 public:
  /// What to hand to the op; undefined where it shall allocate.
  Tensor begin(Backward& b, int input, bool repeated) {
    if (!b.needs(input) || repeated) {
      return {};
    }
    place_ = b.destination(input);
    return place_.accumulate ? Tensor() : heads_first(place_.tensor);
  }
  void finish(Backward& b, int input, const Tensor& gradient_BHTD) {
    if (!place_.tensor.defined()) {
      b.give(input, heads_first(gradient_BHTD));
    } else if (place_.accumulate) {
      ops::accumulate(heads_first(gradient_BHTD), place_.tensor);
    }
    place_ = {};
  }

 private:
  Destination place_;
};

}  // namespace

// Saves q, k, v, scale, sink, y, entropy and lse; probabilities are recomputed tile by tile.
Attention attention(const Variable& q_BTHD,
                    const Variable& k_BSGD,
                    const Variable& v_BSGE,
                    const Variable& scale,
                    const Variable& sink,
                    const ops::AttentionOptions& options) {
  const Tensor q = heads_first(q_BTHD.value());
  const Tensor k = heads_first(k_BSGD.value());
  const Tensor v = heads_first(v_BSGE.value());
  const ops::AttentionResult result = ops::attention(q, k, v, scale.value(), sink.value(), options);
  const std::array inputs = {q_BTHD, k_BSGD, v_BSGE, scale, sink};
  const bool k_repeats = k_BSGD.tracked() && k_BSGD.slot() == q_BTHD.slot();
  const bool v_repeats =
      v_BSGE.tracked() && (v_BSGE.slot() == q_BTHD.slot() || v_BSGE.slot() == k_BSGD.slot());
  const bool statistics = options.engine == ops::AttentionEngine::kOwn;  // with gradients
  std::vector<Tensor> results{result.y_BTHE};
  if (statistics) {
    results.insert(results.end(), {result.entropy_BHT, result.lse_BHT});
  }
  const auto backward = [statistics, q, k, v, scale = scale.value(), sink = sink.value(), result,
                         options, k_repeats, v_repeats](Backward& b) {
    InputGradient dq;
    InputGradient dk;
    InputGradient dv;
    ops::AttentionGradients into;
    into.dq_BHTD = dq.begin(b, 0, false);
    into.dk_BGSD = dk.begin(b, 1, k_repeats);
    into.dv_BGSE = dv.begin(b, 2, v_repeats);
    const ops::AttentionGradients gradients = ops::attention_backward(
        b.dy(0), statistics ? b.dy(1) : Tensor(), statistics ? b.dy(2) : Tensor(), q, k, v, scale,
        sink, result, options, std::move(into));
    dq.finish(b, 0, gradients.dq_BHTD);
    dk.finish(b, 1, gradients.dk_BGSD);
    dv.finish(b, 2, gradients.dv_BGSE);
    b.give(3, gradients.dscale);
    b.give(4, gradients.dsink);
  };
  const std::vector<Variable> outputs =
      record_many("attention", std::move(results), inputs, backward);
  return {outputs[0], statistics ? outputs[1] : Variable(), statistics ? outputs[2] : Variable(),
          result.max_logit_BH};
}

}  // namespace clausius
