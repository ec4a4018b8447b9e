// SPDX-License-Identifier: Apache-2.0
// Devices that a plan can be made for without having one: their published figures.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/dtype.h"

namespace clausius {

/// What a maker publishes of one device. Products are dense; f32 ones are plain f32, never TF32.
struct MachineProfile {
  std::string_view name;
  std::string_view description;
  double bf16_flops = 0;
  double f32_flops = 0;
  double bytes_per_second = 0;
  std::int64_t memory_bytes = 0;

  [[nodiscard]] double flops(Dtype dtype) const {
    return dtype == Dtype::kBf16 ? bf16_flops : f32_flops;
  }
};

[[nodiscard]] std::span<const MachineProfile> machine_profiles();

/// Errors: ConfigError naming the profiles there are.
[[nodiscard]] const MachineProfile& find_machine_profile(std::string_view name);

}  // namespace clausius
