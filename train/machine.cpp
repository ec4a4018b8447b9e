// SPDX-License-Identifier: Apache-2.0
// Ceilings and facts of the machine.
#include "train/machine.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <unistd.h>

#include "core/allocator.h"
#include "core/device_backend.h"
#include "core/ops/matmul/gemm_ceiling.h"
#include "core/ops/matmul/matmul.h"
#include "core/parallel.h"
#include "core/tensor.h"
#include "train/benchmarks/timing.h"

namespace clausius {

namespace {

double device_gemm_peak(Dtype dtype, Device device) {
  constexpr std::int64_t kSize = 8192;
  double best = 0;
  {
    const Tensor a = normal_values({kSize, kSize}, dtype, device);
    Tensor out = Tensor::empty({kSize, kSize}, dtype, device);
    for (const Tensor& b : {a, a.transpose(0, 1)}) {
      const double seconds = measure_seconds(device, [&] { ops::matmul(a, b, out); });
      best = std::max(best, 2.0 * kSize * kSize * kSize / seconds);
    }
  }
  // Blocks of such a size are no use to anybody else.
  allocator(device).trim();
  return best;
}

// The better of the device's own copy and of our kernel.
double device_copy_bandwidth(Device device) {
  constexpr std::int64_t kBytes = std::int64_t{512} << 20;
  double seconds = 0;
  {
    const Tensor from = Tensor::full({kBytes / 4}, 1.0, Dtype::kF32, device);
    Tensor to = Tensor::zeros({kBytes / 4}, Dtype::kF32, device);
    DeviceBackend& backend = require_backend(device);
    seconds = std::min(
        measure_seconds(
            device,
            [&] { backend.copy_bytes(to.raw(), device, from.raw(), device, from.bytes()); }),
        measure_seconds(device, [&] { to.copy_from(from); }));
  }
  allocator(device).trim();
  return 2.0 * static_cast<double>(kBytes) / seconds;
}

}  // namespace

double measure_gemm_peak(Dtype dtype, Device device) {
  if (device != kCpu) {
    return device_gemm_peak(dtype, device);
  }
  constexpr int kRuns = 4;
  return ops::measure_gemm_ceiling(dtype, kRuns).best();
}

double measure_copy_bandwidth(Device device) {
  if (device != kCpu) {
    return device_copy_bandwidth(device);
  }
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
