// SPDX-License-Identifier: Apache-2.0
// What differs between two recipes, and which differences a resumed run may have.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "train/recipe.h"

namespace clausius {

struct RecipeChange {
  std::string key;  // dotted
  std::string before;
  std::string after;
};

/// Every key of the resolved recipes whose value differs; "absent" for a key that one of them lacks.
[[nodiscard]] std::vector<RecipeChange> recipe_changes(const Recipe& before, const Recipe& after);

/// A resumed run may change monitor, checkpoint, evaluate, parallel, device, the mixers' kernel, train.micro_batch and
/// train.recompute; train.steps too under the schedule constant, or before the decay of wsd begins.
/// `step` updates are done; `run` measures the durations of `before`.
/// Errors:  ConfigError with both values of every other key that differs.
void check_resumable(const Recipe& before,
                     const Recipe& after,
                     std::int64_t step,
                     const Duration::Run& run);

}  // namespace clausius
