// SPDX-License-Identifier: Apache-2.0
// Gradient rule of attention.
#include "autograd/rules/attention.h"

#include <array>

#include "autograd/tape.h"
#include "core/ops/accumulate/accumulate.h"

namespace clausius {
namespace {

// Heads before tokens, as the op wants them.
Tensor heads_first(const Tensor& x_BTHD) {
  return x_BTHD.transpose(1, 2);
}

// Where the op may write the gradient of `input`: straight into its place unless another use has begun the sum.
Tensor writable(Backward& b, int input, Destination& place) {
  if (!b.needs(input)) {
    return {};
  }
  place = b.destination(input);
  return place.accumulate ? Tensor() : heads_first(place.tensor);
}

void add_where_begun(Destination& place, const Tensor& gradient_BHTD) {
  if (place.tensor.defined() && place.accumulate) {
    ops::accumulate(heads_first(gradient_BHTD), place.tensor);
  }
}

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
  std::vector<Variable> outputs = record_many(
      "attention", {result.y_BTHE, result.entropy_BHT, result.lse_BHT}, inputs,
      [q, k, v, scale = scale.value(), sink = sink.value(), result, options](Backward& b) {
        Destination dq;
        Destination dk;
        Destination dv;
        ops::AttentionGradients into;
        into.dq_BHTD = writable(b, 0, dq);
        into.dk_BGSD = writable(b, 1, dk);
        into.dv_BGSE = writable(b, 2, dv);
        const ops::AttentionGradients gradients = ops::attention_backward(
            b.dy(0), b.dy(1), b.dy(2), q, k, v, scale, sink, result, options, into);
        add_where_begun(dq, gradients.dq_BHTD);
        add_where_begun(dk, gradients.dk_BGSD);
        add_where_begun(dv, gradients.dv_BGSE);
        b.give(3, gradients.dscale);
        b.give(4, gradients.dsink);
      });
  return {outputs[0], outputs[1], outputs[2], result.max_logit_BH};
}

}  // namespace clausius
