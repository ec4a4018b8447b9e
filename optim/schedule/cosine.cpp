// SPDX-License-Identifier: Apache-2.0
// Warm-up, then half a cosine down to a share of the peak.
#include <cmath>
#include <numbers>

#include "optim/schedule/schedule.h"

namespace clausius {
namespace {

struct CosineConfig {
  static constexpr std::string_view kDoc =
      "Warm-up, then half a cosine down to final_ratio of the peak.";

  Duration warmup;
  double final_ratio = 0.1;

  void visit(ConfigVisitor& v) {
    v.field("warmup", warmup, "linear rise from 0");
    v.field("final_ratio", final_ratio, "share of the peak at the last step", zero_to_one);
  }
};

class Cosine final : public Schedule {
 public:
  Cosine(const CosineConfig& config, const Duration::Run& run)
      : warmup_(config.warmup.in_steps(run)), steps_(run.steps), final_ratio_(config.final_ratio) {}

  double factor(std::int64_t step) const override {
    const double progress = progress_after(step, warmup_, steps_);
    const double wave = 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
    return warmup_factor(step, warmup_) * (final_ratio_ + (1.0 - final_ratio_) * wave);
  }

 private:
  std::int64_t warmup_;
  std::int64_t steps_;
  double final_ratio_;
};

CLS_REGISTER(Schedule, "cosine", Cosine, CosineConfig);

}  // namespace
}  // namespace clausius
