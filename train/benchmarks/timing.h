// SPDX-License-Identifier: Apache-2.0
// How long a piece of work takes, on the host or on a device.
#pragma once

#include <functional>

#include "core/device.h"
#include "core/dtype.h"
#include "core/shape.h"
#include "core/tensor.h"

namespace clausius {

/// Seconds of one call of `work`, after calls that warm up.
/// Value:   on the CPU the fastest of what fits in a fifth of a second, three calls at least: the machine may be shared. On a device the
///          median of five stretches of 20 ms (one call at least) between two waits for it: what a program gets that asks for one call
///          after the other, the time to ask included where that takes longer.
/// Errors:  those of the work, DeviceError among them.
[[nodiscard]] double measure_seconds(Device device, const std::function<void()>& work);

/// Normal numbers that repeat after 65537: neither constant (products of constants draw less power and run faster than any real
/// ones) nor longer to draw than the work takes.
[[nodiscard]] Tensor normal_values(const Shape& shape, Dtype dtype, Device device);

}  // namespace clausius
