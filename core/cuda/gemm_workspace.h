// SPDX-License-Identifier: Apache-2.0
// The memory that matrix products keep for themselves on a device, for those who plan.
#pragma once

#include <cstdint>

namespace clausius::cuda {

/// What NVIDIA advises for sm_90. Products run one after the other on one stream, so one does for all of a device's.
inline constexpr std::int64_t kGemmWorkspaceBytes = std::int64_t{32} << 20;

}  // namespace clausius::cuda
