// SPDX-License-Identifier: Apache-2.0
// Measures what this machine can do at most, once.
#include "bench/ceilings.h"

#include "train/machine.h"

namespace clausius::bench {

double copy_bandwidth() {
  static const double bytes_per_second = measure_copy_bandwidth();
  return bytes_per_second;
}

}  // namespace clausius::bench
