// SPDX-License-Identifier: Apache-2.0
// Registers a function compiled once per instruction set as a CPU kernel.
#pragma once

#include <hwy/highway.h>

#include "core/kernel_table.h"

/// CLS_SIMD_KERNEL(softmax_forward, kF32, softmax_forward_f32) under HWY_ONCE, in the namespace around HWY_NAMESPACE. Entry 0 of the
/// dispatch table picks the best function that this machine runs at every call, so tests may change what the machine offers.
#define CLS_SIMD_KERNEL(op, dtype, fn) \
  HWY_EXPORT(fn);                      \
  CLS_KERNEL(op, kCpu, dtype, HWY_DISPATCH_TABLE(fn)[0])
