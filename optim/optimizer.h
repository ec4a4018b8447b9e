// SPDX-License-Identifier: Apache-2.0
// Optimizer: turns gradients into updates of the flat parameter buffers.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "autograd/parameter.h"
#include "core/config.h"
#include "core/registry.h"
#include "optim/param_groups.h"

namespace clausius {

/// Keys that every optimizer has.
struct OptimizerCommon {
  double lr = 0.0;
  double weight_decay = 0.0;
  std::vector<ParamGroupConfig> groups{};

  void visit(ConfigVisitor& v) {
    v.required("lr", lr, "learning rate at the peak of the schedule", positive);
    v.field("weight_decay", weight_decay, "decay of weights, see groups", non_negative);
    v.field("groups", groups, "parameters treated differently; the first match wins");
  }
};

/// One update.
struct OptimizerStep {
  double lr = 0.0;
  /// Multiplies every gradient first: 1 / loss weight, times the clip factor.
  double gradient_scale = 1.0;
  /// From 1.
  std::int64_t step = 1;
};

/// A named buffer of optimizer state: one number for each element that this process owns (ParameterStore::owned), in that order.
struct OptimizerState {
  std::string name;
  Tensor values;
};

class Optimizer {
 public:
  Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;
  virtual ~Optimizer() = default;

  /// Updates the master values (and the compute copy) of what this process owns from the gradient buffer.
  /// Value: sums of squares of the change, [parts] f64 on the parameters' device; the root of their sum is the update norm.
  [[nodiscard]] virtual Tensor step(const OptimizerStep& step) = 0;
  [[nodiscard]] virtual std::vector<OptimizerState> state() = 0;
  [[nodiscard]] virtual double peak_lr() const = 0;
};

/// Kinds register themselves by name (recipe key optimizer.kind).
template <>
struct RegistryTraits<Optimizer> {
  static constexpr std::string_view kFamily = "optimizer";
  using Context = NoContext;
  using Make = std::unique_ptr<Optimizer>(ParameterStore&);
};

}  // namespace clausius
