// SPDX-License-Identifier: Apache-2.0
// Ceilings and facts of the machine.
#include "train/machine.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <unistd.h>

#include "core/ops/matmul/matmul.h"

namespace clausius {

double measure_gemm_peak(Dtype dtype) {
  constexpr std::int64_t kSize = 1024;
  constexpr int kRepeats = 6;
  const Tensor a = Tensor::full({kSize, kSize}, 0.5, dtype);
  const Tensor b = Tensor::full({kSize, kSize}, 0.25, dtype);
  Tensor c = Tensor::empty({kSize, kSize}, Dtype::kF32);
  double best = 0;
  for (int i = 0; i < kRepeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    ops::matmul(a, b, c);
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    best = std::max(best, 2.0 * kSize * kSize * kSize / elapsed.count());
  }
  return best;
}

std::int64_t available_memory_bytes() {
  std::int64_t bytes = static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  std::ifstream limit("/sys/fs/cgroup/memory.max");
  std::int64_t group = 0;
  if (limit >> group && group > 0) {
    bytes = std::min(bytes, group);
  }
  return bytes;
}

std::string cpu_model() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) {
      return line.substr(std::min(line.size(), line.find(':') + 2));
    }
  }
  return "unknown";
}

}  // namespace clausius
