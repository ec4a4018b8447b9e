// SPDX-License-Identifier: Apache-2.0
// Which ops have kernels for the CUDA device.
#include <iostream>

#include <gtest/gtest.h>

#include "core/kernel_table.h"

namespace clausius {
namespace {

// The table that `clausius doctor` sums up: every op that computes on the CPU must have kernels on the device, in f32 and bf16.
TEST(CudaParity, EveryOpHasItsKernels) {
  int missing = 0;
  for (const KernelTableBase* table : kernel_tables()) {
    for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
      if (table->has(DeviceKind::kCpu, dtype) && !table->has(DeviceKind::kCuda, dtype)) {
        std::cout << "no cuda kernel: " << table->op() << " " << dtype << "\n";
        ++missing;
      }
    }
  }
  EXPECT_EQ(missing, 0);
}

}  // namespace
}  // namespace clausius
