// SPDX-License-Identifier: Apache-2.0
// The chosen instruction set.
#include "core/simd/target.h"

#include <hwy/highway.h>

#include "core/error.h"
#include "core/libraries.h"

namespace clausius {
namespace {

std::string highway_version() {
  return concat(HWY_MAJOR, ".", HWY_MINOR, ".", HWY_PATCH, ", ", simd_target());
}
CLS_LIBRARY("Highway", highway_version);

}  // namespace

std::string simd_target() {
  // Better targets have lower bits.
  const std::int64_t usable = hwy::SupportedTargets() & HWY_TARGETS;
  return hwy::TargetName(usable & -usable);
}

}  // namespace clausius
