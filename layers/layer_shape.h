// SPDX-License-Identifier: Apache-2.0
// What a layer knows of the model around it: the defaults its own knobs inherit.
#pragma once

#include <cstdint>

namespace clausius {

struct LayerShape {
  std::int64_t model_dim = 0;
  std::int64_t num_heads = 0;
  std::int64_t num_kv_heads = 0;
  std::int64_t head_dim = 0;
  bool bias = false;
  std::int64_t layer_index = 0;
  std::int64_t num_layers = 1;
  std::int64_t context_length = 0;
};

}  // namespace clausius
