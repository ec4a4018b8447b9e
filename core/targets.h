// SPDX-License-Identifier: Apache-2.0
// What targets of a prediction mean beside token ids.
#pragma once

#include <cstdint>

namespace clausius {

/// A target that carries no loss.
inline constexpr std::int32_t kIgnoredTarget = -100;

}  // namespace clausius
