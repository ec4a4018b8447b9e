// SPDX-License-Identifier: Apache-2.0
// The toy store.
#include "tests/support/toy_parameters.h"

#include "core/random.h"

namespace clausius::test {

void fill_toy_store(ParameterStore& store) {
  const auto add = [&](const std::string& path, Role role, const Shape& shape) {
    store.add(path, role, shape, [path](Tensor& value) {
      fill_normal(value, {.seed = 1, .stream = stream_of(path)}, 0.0, 0.5);
    });
  };
  add("embedding.weight", Role::kEmbedding, {5, 3});
  add("position.table", Role::kPosition, {4, 3});
  add("blocks.0.norm.gain", Role::kGain, {3});
  add("blocks.0.mixer.qkv.weight", Role::kMatrix, {6, 3});
  add("blocks.0.mixer.qkv.q.bias", Role::kBias, {6});
  add("blocks.0.conv", Role::kConv, {4});
  add("head.weight", Role::kHead, {5, 3});
  store.allocate();
}

void fill_gradients(ParameterStore& store, std::uint32_t step) {
  store.gradients().fill(0.0);
  for (Parameter& parameter : store.parameters()) {
    fill_normal(parameter.gradient(),
                {.seed = 2, .stream = stream_of(parameter.path()), .step = step}, 0.0, 0.1);
  }
}

}  // namespace clausius::test
