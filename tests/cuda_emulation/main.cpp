// SPDX-License-Identifier: Apache-2.0
// Runs the case tables on the emulated device alone.
#include <gtest/gtest.h>

#include "tests/support/op_case.h"

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  clausius::test::only_cuda_rows = true;
  return RUN_ALL_TESTS();
}
