// SPDX-License-Identifier: Apache-2.0
// What the machine can do at most: the denominators of every speed figure.
#pragma once

#include <cstdint>
#include <string>

#include "core/dtype.h"

namespace clausius {

/// FLOP/s of a large matrix product on this rank's threads, best of a few: the ceiling that `fraction_of_peak` divides by.
/// Cost: about 50 ms.
[[nodiscard]] double measure_gemm_peak(Dtype dtype);

/// Bytes of memory this process may use: the least of physical memory and control-group limits.
[[nodiscard]] std::int64_t available_memory_bytes();

[[nodiscard]] std::string cpu_model();

}  // namespace clausius
