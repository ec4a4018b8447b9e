// SPDX-License-Identifier: Apache-2.0
// Ops on a device are ranges of a profiler's timeline, and so is what a program names itself.
#include <gtest/gtest.h>

#include "core/device_backend.h"
#include "core/ops/binary/binary.h"
#include "core/ops/scale/scale.h"
#include "tests/cuda_emulation/device/range_log.h"

namespace clausius {
namespace {

TEST(CudaRanges, EveryOpIsOne) {
  const Tensor host = Tensor::full({8}, 2.0, Dtype::kF32);
  const Tensor x = host.to(kCuda);
  const emulation::RangeLog log;
  {
    const DeviceRange step(kCuda, "step");
    const Tensor y = ops::scale(ops::add(x, x), 0.5);
    EXPECT_EQ(y.to(kCpu).data<float>()[3], 2.0F);
  }
  EXPECT_THROW((void)ops::add(x, Tensor::full({3}, 1.0, Dtype::kF32, kCuda)), ShapeError);
  EXPECT_EQ(log.text(), "step(binary() scale())");
}

TEST(CudaRanges, TheHostHasNone) {
  const Tensor x = Tensor::full({8}, 2.0, Dtype::kF32);
  const emulation::RangeLog log;
  {
    const DeviceRange step(kCpu, "step");
    (void)ops::add(x, x);
  }
  EXPECT_EQ(log.text(), "");
}

}  // namespace
}  // namespace clausius
