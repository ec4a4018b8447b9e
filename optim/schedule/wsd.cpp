// SPDX-License-Identifier: Apache-2.0
// Warm-up, stable, decay.
#include <cmath>

#include "optim/schedule/schedule.h"

namespace clausius {
namespace {

enum class DecayShape { kSqrt, kLinear };
constexpr auto words_of(DecayShape /*unused*/) {
  return words("sqrt", "linear");
}

struct WsdConfig {
  static constexpr std::string_view kDoc =
      "Warm-up, the peak, then a decay over the last part of the run.";

  Duration warmup;
  Duration decay = Duration::percent(20);
  double final_ratio = 0.0;
  DecayShape shape = DecayShape::kSqrt;

  void visit(ConfigVisitor& v) {
    v.field("warmup", warmup, "linear rise from 0");
    v.field("decay", decay, "length of the fall at the end");
    v.field("final_ratio", final_ratio, "share of the peak at the last step", zero_to_one);
    v.field("shape", shape, "of the fall: 1 - sqrt(progress), or a straight line");
  }
};

/// Source: Hu et al. 2024, "MiniCPM"; the 1 - sqrt shape of Haegele et al. 2024, "Scaling Laws and Compute-Optimal Training".
class Wsd final : public Schedule {
 public:
  Wsd(const WsdConfig& config, const Duration::Run& run)
      : warmup_(config.warmup.in_steps(run)),
        decay_(config.decay.in_steps(run)),
        steps_(run.steps),
        final_ratio_(config.final_ratio),
        shape_(config.shape) {}

  double factor(std::int64_t step) const override {
    const double progress = progress_after(step, steps_ - decay_, steps_);
    const double fall = shape_ == DecayShape::kSqrt ? std::sqrt(progress) : progress;
    return warmup_factor(step, warmup_) * (1.0 - (1.0 - final_ratio_) * fall);
  }

 private:
  std::int64_t warmup_;
  std::int64_t decay_;
  std::int64_t steps_;
  double final_ratio_;
  DecayShape shape_;
};

CLS_REGISTER(Schedule, "wsd", Wsd, WsdConfig);

}  // namespace
}  // namespace clausius
