// SPDX-License-Identifier: Apache-2.0
// Warm-up, then the peak.

#include "optim/schedule/schedule.h"

namespace clausius {
namespace {

struct ConstantConfig {
  static constexpr std::string_view kDoc = "Warm-up, then the peak to the end.";

  Duration warmup;

  void visit(ConfigVisitor& v) { v.field("warmup", warmup, "linear rise from 0"); }
};

class Constant final : public Schedule {
 public:
  Constant(const ConstantConfig& config, const Duration::Run& run)
      : warmup_(config.warmup.in_steps(run)) {}
  double factor(std::int64_t step) const override { return warmup_factor(step, warmup_); }

 private:
  std::int64_t warmup_;
};

CLS_REGISTER(Schedule, "constant", Constant, ConstantConfig);

}  // namespace
}  // namespace clausius
