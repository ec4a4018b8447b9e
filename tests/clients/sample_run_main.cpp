// SPDX-License-Identifier: Apache-2.0
// Writes a run directory of any size, for the tests of the page and for looking at it:
//   sample_run DIRECTORY [LAYERS [HEADS [SAMPLES [SEED [LINEAR_LAYER]]]]]
#include <iostream>
#include <string>

#include "tests/support/sample_run.h"

int main(int argc, char** argv) {
  const auto number = [&](int place, std::int64_t otherwise) {
    return argc > place ? std::stoll(argv[place]) : otherwise;
  };
  if (argc < 2) {
    std::cerr << "sample_run DIRECTORY [LAYERS [HEADS [SAMPLES [SEED [LINEAR_LAYER]]]]]\n";
    return 2;
  }
  clausius::test::SampleRun run(argv[1], {.layers = number(2, 12),
                                          .heads = number(3, 12),
                                          .samples = number(4, 10000),
                                          .seed = static_cast<std::uint64_t>(number(5, 1)),
                                          .linear_layer = number(6, -1)});
  run.finish();
  return 0;
}
