// SPDX-License-Identifier: Apache-2.0
// CUDA graphs: work recorded once, started with one call ever after.
#pragma once

#include <functional>
#include <string_view>

#include "core/caching_allocator.h"
#include "core/device_backend.h"

namespace clausius::cuda {

/// As DeviceBackend::record; `memory` is the device's allocator. Errors: DeviceError; what `work` throws.
[[nodiscard]] DeviceRecording record_work(CachingAllocator& memory,
                                          const std::function<void()>& work);
/// As DeviceBackend::refuse_in_recording.
void refuse_recording(std::string_view why);

}  // namespace clausius::cuda
