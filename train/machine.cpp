// SPDX-License-Identifier: Apache-2.0
// Ceilings and facts of the machine.
#include "train/machine.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <unistd.h>

#include "core/device_backend.h"
#include "core/ops/matmul/gemm_ceiling.h"
#include "core/ops/matmul/matmul.h"
#include "core/parallel.h"
#include "core/tensor.h"

namespace clausius {

namespace {

double device_gemm_peak(Dtype dtype, Device device) {
  constexpr std::int64_t kSize = 8192;
  constexpr int kRuns = 4;
  const Tensor a = Tensor::full({kSize, kSize}, 0.5, dtype, device);
  Tensor out = Tensor::empty({kSize, kSize}, dtype, device);
  DeviceBackend& backend = require_backend(device);
  double best = 0;
  for (int run = 0; run < kRuns; ++run) {
    backend.synchronize(device.index);
    const auto start = std::chrono::steady_clock::now();
    ops::matmul(a, a, out);
    backend.synchronize(device.index);
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    best = std::max(best, 2.0 * kSize * kSize * kSize / elapsed.count());
  }
  return best;
}

}  // namespace

double measure_gemm_peak(Dtype dtype, Device device) {
  if (device != kCpu) {
    return device_gemm_peak(dtype, device);
  }
  constexpr int kRuns = 4;
  return ops::measure_gemm_ceiling(dtype, kRuns).best();
}

double measure_copy_bandwidth() {
  constexpr std::int64_t kElements = std::int64_t{32} << 20;
  constexpr int kRepeats = 6;
  const Tensor from = Tensor::full({kElements}, 1.0, Dtype::kF32);
  Tensor to = Tensor::full({kElements}, 0.0, Dtype::kF32);
  double best = 0;
  for (int i = 0; i < kRepeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    parallel_for(kElements, 1 << 16, [&](std::int64_t begin, std::int64_t end) {
      std::memcpy(to.data<float>() + begin, from.data<float>() + begin,
                  static_cast<std::size_t>(end - begin) * sizeof(float));
    });
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    best = std::max(best, 2.0 * static_cast<double>(from.bytes()) / elapsed.count());
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
