// SPDX-License-Identifier: Apache-2.0
// From an element type as a value to one as a C++ type, and between two of them: for code that takes every type.
#pragma once

#include <cstdint>
#include <type_traits>

#include "core/dtype.h"

namespace clausius {

/// fn(a value of the C++ type that `dtype` stands for).
template <class Fn>
void with_type(Dtype dtype, const Fn& fn) {
  switch (dtype) {
    case Dtype::kF64:
      return fn(double{});
    case Dtype::kF32:
      return fn(float{});
    case Dtype::kBf16:
      return fn(bf16{});
    case Dtype::kI64:
      return fn(std::int64_t{});
    case Dtype::kI32:
      return fn(std::int32_t{});
    case Dtype::kU8:
      return fn(std::uint8_t{});
  }
}

/// Floats round to nearest even; bf16 goes by way of f32.
template <class To, class From>
constexpr To convert_element(From value) {
  if constexpr (std::is_same_v<To, From>) {
    return value;
  } else if constexpr (std::is_same_v<From, bf16>) {
    return static_cast<To>(static_cast<float>(value));
  } else if constexpr (std::is_same_v<To, bf16>) {
    return bf16(static_cast<float>(value));
  } else {
    return static_cast<To>(value);
  }
}

}  // namespace clausius
