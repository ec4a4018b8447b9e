// SPDX-License-Identifier: Apache-2.0
// A few parameters of every role, and optimizers and schedules as recipes write them.
#pragma once

#include <string>

#include "autograd/parameter.h"
#include "core/config_file.h"
#include "core/registry.h"

namespace clausius::test {

/// Fills `store` with seven parameters whose values, and gradients if asked for, are normal numbers.
/// Offsets: embedding.weight 0 (15 elements), position.table 16 (12), blocks.0.norm.gain 32 (3), blocks.0.mixer.qkv.weight
/// 48 (18), blocks.0.mixer.qkv.q.bias 80 (6), blocks.0.conv 96 (4), head.weight 112 (15); 128 in all.
void fill_toy_store(ParameterStore& store);

/// New normal numbers in every gradient; the padding between parameters stays zero.
void fill_gradients(ParameterStore& store, std::uint32_t step);

/// The kind and knobs that a recipe's text names: `{kind: adamw, lr: 0.1}`; layers are read with a LayerShape.
template <class Base, class... Context>
[[nodiscard]] Choice<Base> choice_of(const std::string& text, const Context&... context) {
  Choice<Base> choice;
  ReadLog log;
  read_config(parse_config(text, std::make_shared<const ConfigSource>()), choice, log, context...);
  return choice;
}

}  // namespace clausius::test
