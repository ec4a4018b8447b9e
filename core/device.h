// SPDX-License-Identifier: Apache-2.0
// Where a tensor lives.
#pragma once

#include <ostream>
#include <string_view>

namespace clausius {

enum class DeviceKind : unsigned char { kCpu, kCuda };

struct Device {
  DeviceKind kind = DeviceKind::kCpu;
  int index = 0;
  friend bool operator==(const Device&, const Device&) = default;
};

inline constexpr Device kCpu{DeviceKind::kCpu, 0};
inline constexpr Device kCuda{DeviceKind::kCuda, 0};

[[nodiscard]] constexpr std::string_view name_of(DeviceKind kind) {
  return kind == DeviceKind::kCpu ? "cpu" : "cuda";
}
inline std::ostream& operator<<(std::ostream& out, DeviceKind kind) {
  return out << name_of(kind);
}
inline std::ostream& operator<<(std::ostream& out, Device device) {
  out << name_of(device.kind);
  return device.kind == DeviceKind::kCuda ? out << ':' << device.index : out;
}

}  // namespace clausius
