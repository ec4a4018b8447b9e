// SPDX-License-Identifier: Apache-2.0
// Warm-up, then a straight line down to a share of the peak.

#include "optim/schedule/schedule.h"

namespace clausius {
namespace {

struct LinearConfig {
  static constexpr std::string_view kDoc =
      "Warm-up, then a straight line down to final_ratio of the peak.";

  Duration warmup;
  double final_ratio = 0.0;

  void visit(ConfigVisitor& v) {
    v.field("warmup", warmup, "linear rise from 0");
    v.field("final_ratio", final_ratio, "share of the peak at the last step", zero_to_one);
  }
};

class LinearDecay final : public Schedule {
 public:
  LinearDecay(const LinearConfig& config, const Duration::Run& run)
      : warmup_(config.warmup.in_steps(run)), steps_(run.steps), final_ratio_(config.final_ratio) {}

  double factor(std::int64_t step) const override {
    return warmup_factor(step, warmup_) *
           (1.0 - (1.0 - final_ratio_) * progress_after(step, warmup_, steps_));
  }

 private:
  std::int64_t warmup_;
  std::int64_t steps_;
  double final_ratio_;
};

CLS_REGISTER(Schedule, "linear", LinearDecay, LinearConfig);

}  // namespace
}  // namespace clausius
