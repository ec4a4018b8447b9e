// SPDX-License-Identifier: Apache-2.0
// Objective: what a model is asked to predict, as a transformation of batches.
#pragma once

#include <cstdint>
#include <memory>

#include "core/batch.h"
#include "core/config.h"
#include "core/registry.h"

namespace clausius {

class Objective {
 public:
  Objective() = default;
  Objective(const Objective&) = delete;
  Objective& operator=(const Objective&) = delete;
  virtual ~Objective() = default;
  /// The training batch that this objective makes of a plain next-token batch. A pure function of the batch, its sample ids and `step`.
  [[nodiscard]] virtual Batch prepare(Batch batch, std::int64_t step) const = 0;
};

/// Kinds register themselves by name (recipe key objective.kind).
template <>
struct RegistryTraits<Objective> {
  static constexpr std::string_view kFamily = "objective";
  using Context = NoContext;
  using Make = std::unique_ptr<Objective>();
};

}  // namespace clausius
