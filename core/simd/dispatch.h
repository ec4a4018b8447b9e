// SPDX-License-Identifier: Apache-2.0
// Registers a function compiled once per instruction set as a CPU kernel.
#pragma once

#include <cstddef>
#include <type_traits>

#include <hwy/highway.h>

#include "core/kernel_table.h"

namespace clausius::simd {

/// Calls the entry of a Highway dispatch table that this machine runs. The first call of a process asks the processor what it offers.
template <const auto& table, class Function = std::remove_cvref_t<decltype(table[0])>>
struct Dispatched;
template <const auto& table, class... Args>
struct Dispatched<table, void (*)(Args...)> {
  static void call(Args... args) { table[hwy::GetChosenTarget().GetIndex()](args...); }
};

}  // namespace clausius::simd

/// CLS_SIMD_KERNEL(softmax_forward, kF32, softmax_forward_f32) under HWY_ONCE, in the namespace around HWY_NAMESPACE.
#define CLS_SIMD_KERNEL(op, dtype, fn) \
  HWY_EXPORT(fn);                      \
  CLS_KERNEL(op, kCpu, dtype, &::clausius::simd::Dispatched<HWY_DISPATCH_TABLE(fn)>::call)
