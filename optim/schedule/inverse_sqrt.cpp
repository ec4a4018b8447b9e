// SPDX-License-Identifier: Apache-2.0
// Warm-up, then falling as the root of the step.
#include <algorithm>
#include <cmath>

#include "optim/schedule/schedule.h"

namespace clausius {
namespace {

struct InverseSqrtConfig {
  static constexpr std::string_view kDoc =
      "Warm-up, then sqrt(warmup / step); without warm-up 1 / sqrt(step).";

  Duration warmup;

  void visit(ConfigVisitor& v) { v.field("warmup", warmup, "linear rise from 0"); }
};

class InverseSqrt final : public Schedule {
 public:
  InverseSqrt(const InverseSqrtConfig& config, const Duration::Run& run)
      : warmup_(config.warmup.in_steps(run)) {}
  double factor(std::int64_t step) const override {
    const auto start = static_cast<double>(std::max<std::int64_t>(warmup_, 1));
    return step <= warmup_ ? warmup_factor(step, warmup_)
                           : std::sqrt(start / static_cast<double>(step));
  }

 private:
  std::int64_t warmup_;
};

CLS_REGISTER(Schedule, "inverse_sqrt", InverseSqrt, InverseSqrtConfig);

}  // namespace
}  // namespace clausius
