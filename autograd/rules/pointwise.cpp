// SPDX-License-Identifier: Apache-2.0
// Gradient rules of every op of core/ops/pointwise/.
#include "autograd/rules/pointwise.h"

#include "autograd/tape.h"
#include "core/ops/pointwise.h"

namespace clausius {

// y = op(x);  dx = dy op'(x). Saves x.
#define CLS_POINTWISE(name, Struct)                                                                \
  Variable name(const Variable& x) {                                                               \
    return record(                                                                                 \
        #name, ops::name(x.value()), {x},                                                          \
        [x = x.value()](const Tensor& dy) -> Gradients { return {ops::name##_backward(dy, x)}; }); \
  }
#include "core/ops/pointwise_list.inc"
#undef CLS_POINTWISE

}  // namespace clausius
