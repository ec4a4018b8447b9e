// SPDX-License-Identifier: Apache-2.0
// The knobs of QK-clip, which shrinks the query and key projections of heads whose scores have grown too large.
#pragma once

#include "core/config.h"

namespace clausius {

/// Applied after each update, from the largest score (before any soft-cap) that a head had in the step: ops::qk_clip.
/// Source:  Kimi Team 2025, "Kimi K2" (MuonClip).
struct QkClipConfig {
  double threshold = 100.0;
  double balance = 0.5;

  void visit(ConfigVisitor& v) {
    v.field("threshold", threshold, "largest score that a head may have had in a step", positive);
    v.field("balance", balance, "the queries' part of what is taken away; the rest is the keys'",
            zero_to_one);
  }
};

}  // namespace clausius
