// SPDX-License-Identifier: Apache-2.0
// Gradient rule of embedding.
#include "autograd/rules/embedding.h"

#include "autograd/tape.h"
#include "core/ops/embedding/embedding.h"

namespace clausius {

// dtable[v] = sum of dy over the positions of token v. Saves the tokens.
Variable embedding(const Tensor& tokens, const Variable& table_VM) {
  return record("embedding", ops::embedding(tokens, table_VM.value()), {table_VM},
                [tokens](Backward& b) {
                  Destination dtable = b.destination(0);
                  ops::embedding_backward(b.dy(), tokens, dtable.tensor, dtable.accumulate);
                });
}

}  // namespace clausius
