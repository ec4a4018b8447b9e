// SPDX-License-Identifier: Apache-2.0
// Test inputs drawn from the counter generator.
#include "tests/support/random_tensor.h"

namespace clausius::test {

Tensor random_normal(const Shape& shape, std::string_view name, double std) {
  Tensor tensor = Tensor::empty(shape, Dtype::kF64);
  fill_normal(tensor, RandomStream{.seed = 7, .stream = stream_of(name)}, 0.0, std);
  return tensor;
}

}  // namespace clausius::test
