// SPDX-License-Identifier: Apache-2.0
// Element types: the enum, the C++ type of each, and bfloat16.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string_view>

#include "core/error.h"

namespace clausius {

enum class Dtype : std::uint8_t { kF64, kF32, kBf16, kI64, kI32, kU8 };

/// bfloat16: the upper half of a float; conversion rounds to nearest even and keeps NaN.
struct bf16 {
  std::uint16_t bits = 0;

  constexpr bf16() = default;
  explicit constexpr bf16(float value) : bits(round(value)) {}
  explicit constexpr bf16(double value) : bf16(static_cast<float>(value)) {}
  explicit constexpr operator float() const {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
  }
  explicit constexpr operator double() const {
    return static_cast<double>(static_cast<float>(*this));
  }

 private:
  static constexpr std::uint16_t round(float value) {
    const auto u = std::bit_cast<std::uint32_t>(value);
    if ((u & 0x7fffffffU) > 0x7f800000U) {
      return static_cast<std::uint16_t>((u >> 16) | 0x40U);
    }
    return static_cast<std::uint16_t>((u + 0x7fffU + ((u >> 16) & 1U)) >> 16);
  }
};

[[nodiscard]] constexpr std::size_t size_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF64:
    case Dtype::kI64:
      return 8;
    case Dtype::kF32:
    case Dtype::kI32:
      return 4;
    case Dtype::kBf16:
      return 2;
    case Dtype::kU8:
      return 1;
  }
  return 0;
}

[[nodiscard]] constexpr std::string_view name_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF64:
      return "f64";
    case Dtype::kF32:
      return "f32";
    case Dtype::kBf16:
      return "bf16";
    case Dtype::kI64:
      return "i64";
    case Dtype::kI32:
      return "i32";
    case Dtype::kU8:
      return "u8";
  }
  return "?";
}

[[nodiscard]] constexpr bool is_floating(Dtype dtype) {
  return dtype <= Dtype::kBf16;
}

inline std::ostream& operator<<(std::ostream& out, Dtype dtype) {
  return out << name_of(dtype);
}

template <class T>
struct DtypeOf;
template <>
struct DtypeOf<double> {
  static constexpr Dtype value = Dtype::kF64;
};
template <>
struct DtypeOf<float> {
  static constexpr Dtype value = Dtype::kF32;
};
template <>
struct DtypeOf<bf16> {
  static constexpr Dtype value = Dtype::kBf16;
};
template <>
struct DtypeOf<std::int64_t> {
  static constexpr Dtype value = Dtype::kI64;
};
template <>
struct DtypeOf<std::int32_t> {
  static constexpr Dtype value = Dtype::kI32;
};
template <>
struct DtypeOf<std::uint8_t> {
  static constexpr Dtype value = Dtype::kU8;
};

template <class T>
inline constexpr Dtype dtype_of = DtypeOf<T>::value;

}  // namespace clausius
