// SPDX-License-Identifier: Apache-2.0
// Activation recomputation: a block that keeps its inputs only and runs again in backward.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "autograd/parameter.h"
#include "autograd/variable.h"

namespace clausius {

/// A block of the model as a function of its inputs. `again` is true in the second run: telemetry
/// and counters stay silent then. Both runs must compute the same bits (randomness by counter, no
/// state).
using BlockFn = std::function<std::vector<Variable>(std::span<const Variable> inputs, bool again)>;

/// Runs `block` without recording and puts one node on the tape, whose backward runs it again,
/// recorded, and walks it. Outputs may be anything the loss needs: activations and observed values
/// alike; gradients enter at all of them. `parameters`: those the block uses; each counts as one
/// use on the outer tape. Value:   bit-equal to running the block recorded, gradients included.
/// Cost:    one more forward of the block; saves the inputs alone.
[[nodiscard]] std::vector<Variable> recompute(ParameterStore& store,
                                              std::span<Parameter* const> parameters,
                                              std::span<const Variable> inputs,
                                              const BlockFn& block);

}  // namespace clausius
