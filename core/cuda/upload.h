// SPDX-License-Identifier: Apache-2.0
// Copies from the host beside the work of a device.
#pragma once

#include <memory>

#include "core/device_backend.h"
#include "core/tensor.h"

namespace clausius::cuda {

/// As DeviceBackend::upload: through pinned memory, on a stream of its own.
[[nodiscard]] std::unique_ptr<DeviceUpload> start_upload(const Tensor& host);

}  // namespace clausius::cuda
