// SPDX-License-Identifier: Apache-2.0
// The recomputed block: one node outside, a tape of its own inside.
#include "autograd/recompute.h"

#include "autograd/tape.h"

namespace clausius {
namespace {

void run_again(Backward& outer,
               ParameterStore& store,
               std::span<const Tensor> values,
               const BlockFn& block) {
  Tape tape;
  const ParameterStore::Bind bind(store, &tape);
  std::vector<Variable> inputs;
  for (std::size_t i = 0; i < values.size(); ++i) {
    inputs.push_back(outer.needs(static_cast<int>(i)) ? tape.watch(values[i])
                                                      : Variable(values[i]));
  }
  const std::vector<Variable> outputs = block(inputs, true);
  std::vector<Tape::Seed> seeds;
  for (std::size_t k = 0; k < outputs.size(); ++k) {
    if (outer.dy(static_cast<int>(k)).defined()) {
      seeds.push_back({outputs[k], outer.dy(static_cast<int>(k))});
    }
  }
  tape.backward(seeds);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].tracked()) {
      outer.give(static_cast<int>(i), tape.gradient(inputs[i]));
    }
  }
}

}  // namespace

std::vector<Variable> recompute(ParameterStore& store,
                                std::span<Parameter* const> parameters,
                                std::span<const Variable> inputs,
                                const BlockFn& block) {
  std::vector<Variable> recorded(inputs.begin(), inputs.end());
  std::vector<Variable> constants;
  std::vector<Tensor> values;
  for (const Variable& input : inputs) {
    constants.push_back(input.detached());
    values.push_back(input.value());
  }
  for (Parameter* parameter : parameters) {
    recorded.push_back(parameter->variable());
  }
  std::vector<Tensor> outputs;
  {
    const NoGrad no_grad(store);
    for (const Variable& output : block(constants, false)) {
      outputs.push_back(output.value());
    }
  }
  return record_many("recompute", std::move(outputs), recorded,
                     [&store, values = std::move(values), block](Backward& b) {
                       run_again(b, store, values, block);
                     });
}

}  // namespace clausius
