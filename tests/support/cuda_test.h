// SPDX-License-Identifier: Apache-2.0
// What concerns a CUDA device alone.
#pragma once

#include <gtest/gtest.h>

#include "core/device_backend.h"

namespace clausius::test {

/// Skips where the process has no CUDA device. No test goes unrun for it: the same objects are linked into cuda_emulation_tests, whose
/// device is the emulator. Base is ::testing::Test, or TestWithParam.
template <class Base = ::testing::Test>
class OnCuda : public Base {
 protected:
  void SetUp() override {
    if (cuda_backend() == nullptr) {
      GTEST_SKIP() << "no CUDA device; cuda_emulation_tests runs it on the emulated one";
    }
  }
};

}  // namespace clausius::test
