// SPDX-License-Identifier: Apache-2.0
// Schedule: the learning rate as a share of its peak, step by step.
#pragma once

#include <cstdint>
#include <memory>

#include "core/config.h"
#include "core/config_duration.h"
#include "core/registry.h"

namespace clausius {

class Schedule {
 public:
  Schedule() = default;
  Schedule(const Schedule&) = delete;
  Schedule& operator=(const Schedule&) = delete;
  virtual ~Schedule() = default;
  /// lr / peak lr of update `step`, from 1 to the steps of the run. A pure function: resuming needs nothing else.
  [[nodiscard]] virtual double factor(std::int64_t step) const = 0;
};

/// Kinds register themselves by name (recipe key schedule.kind).
template <>
struct RegistryTraits<Schedule> {
  static constexpr std::string_view kFamily = "schedule";
  using Context = NoContext;
  using Make = std::unique_ptr<Schedule>(const Duration::Run&);
};

/// Rises linearly over `warmup` steps: step / warmup, then 1.
[[nodiscard]] inline double warmup_factor(std::int64_t step, std::int64_t warmup) {
  return step < warmup ? static_cast<double>(step) / static_cast<double>(warmup) : 1.0;
}

/// Share of the way from the end of the warm-up to the last step, 0..1.
[[nodiscard]] inline double progress_after(std::int64_t step,
                                           std::int64_t warmup,
                                           std::int64_t steps) {
  if (step <= warmup || steps <= warmup) {
    return 0.0;
  }
  return step >= steps ? 1.0
                       : static_cast<double>(step - warmup) / static_cast<double>(steps - warmup);
}

}  // namespace clausius
