// SPDX-License-Identifier: Apache-2.0
// The mark of a dry run.
#include "core/dry_run.h"

namespace clausius {
namespace {
thread_local int dry_depth = 0;
}

DryRun::DryRun() {
  ++dry_depth;
}

DryRun::~DryRun() {
  --dry_depth;
}

bool in_dry_run() noexcept {
  return dry_depth > 0;
}

}  // namespace clausius
