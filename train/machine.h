// SPDX-License-Identifier: Apache-2.0
// What the machine can do at most: the denominators of every speed figure.
#pragma once

#include <cstdint>
#include <string>

#include "core/device.h"
#include "core/dtype.h"

namespace clausius {

/// FLOP/s of matrix products: on the CPU on this rank's threads, the better of oneDNN's large and libxsmm's small ones; on a device
/// of large ones of normal numbers. The ceiling that `fraction_of_peak` divides by. Cost: about 100 ms; on a device 0.3 s and up to
/// 800 MB, which it gives back with all blocks kept for reuse.
[[nodiscard]] double measure_gemm_peak(Dtype dtype, Device device = kCpu);

/// Bytes read plus written a second by a large copy: on this rank's threads, best of a few; or within a device, the better of its own
/// copy and our kernel. Cost: about 300 ms; 256 MiB, on a device 1 GiB.
[[nodiscard]] double measure_copy_bandwidth(Device device = kCpu);

/// Bytes of memory this process may use: the least of physical memory and control-group limits.
[[nodiscard]] std::int64_t available_memory_bytes();

[[nodiscard]] std::string cpu_model();

}  // namespace clausius
