// SPDX-License-Identifier: Apache-2.0
// Choosing Highway's target.
#include "tests/support/simd_targets.h"

#include <cstdint>
#include <vector>

#include <hwy/targets.h>

namespace clausius::test {
namespace {

void choose(std::int64_t target) {
  hwy::SetSupportedTargetsForTest(target);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

}  // namespace

void for_each_simd_target(const std::function<void(std::string_view)>& fn) {
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    choose(target);
    fn(hwy::TargetName(target));
  }
  choose(0);
}

}  // namespace clausius::test
