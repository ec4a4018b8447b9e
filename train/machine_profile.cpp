// SPDX-License-Identifier: Apache-2.0
// Figures of NVIDIA's data sheets.
#include "train/machine_profile.h"

#include <array>
#include <string>

#include "core/error.h"

namespace clausius {
namespace {

constexpr std::int64_t gigabytes(std::int64_t count) {
  return count * 1'000'000'000;
}

constexpr std::array<MachineProfile, 5> kProfiles = {{
    {.name = "a100-40gb",
     .description = "NVIDIA A100 SXM, 40 GB",
     .bf16_flops = 312e12,
     .f32_flops = 19.5e12,
     .bytes_per_second = 1.555e12,
     .memory_bytes = gigabytes(40)},
    {.name = "a100",
     .description = "NVIDIA A100 SXM, 80 GB",
     .bf16_flops = 312e12,
     .f32_flops = 19.5e12,
     .bytes_per_second = 2.039e12,
     .memory_bytes = gigabytes(80)},
    {.name = "h100",
     .description = "NVIDIA H100 SXM, 80 GB",
     .bf16_flops = 989e12,
     .f32_flops = 67e12,
     .bytes_per_second = 3.35e12,
     .memory_bytes = gigabytes(80)},
    {.name = "h100-pcie",
     .description = "NVIDIA H100 PCIe, 80 GB",
     .bf16_flops = 756e12,
     .f32_flops = 51e12,
     .bytes_per_second = 2.0e12,
     .memory_bytes = gigabytes(80)},
    {.name = "h200",
     .description = "NVIDIA H200 SXM, 141 GB",
     .bf16_flops = 989e12,
     .f32_flops = 67e12,
     .bytes_per_second = 4.8e12,
     .memory_bytes = gigabytes(141)},
}};

}  // namespace

std::span<const MachineProfile> machine_profiles() {
  return kProfiles;
}

const MachineProfile& find_machine_profile(std::string_view name) {
  std::string known;
  for (const MachineProfile& profile : kProfiles) {
    if (profile.name == name) {
      return profile;
    }
    known += concat(known.empty() ? "" : ", ", profile.name);
  }
  CLS_CHECK(false, ConfigError, "no machine is called '", name, "'; there are ", known);
  return kProfiles.front();
}

}  // namespace clausius
