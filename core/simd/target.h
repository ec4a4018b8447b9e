// SPDX-License-Identifier: Apache-2.0
// Which instruction set the SIMD kernels run on here.
#pragma once

#include <string>

namespace clausius {

/// The best of those compiled in that this machine has, as Highway calls it.
[[nodiscard]] std::string simd_target();

}  // namespace clausius
