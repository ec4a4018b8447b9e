// SPDX-License-Identifier: Apache-2.0
// Clocks around work.
#include "train/benchmarks/timing.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <limits>

#include "core/checked.h"
#include "core/device_backend.h"
#include "core/random.h"

namespace clausius {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double fastest_on_host(const std::function<void()>& work) {
  constexpr double kSeconds = 0.2;
  constexpr int kLeast = 3;
  work();
  double best = std::numeric_limits<double>::infinity();
  const Clock::time_point begin = Clock::now();
  for (int calls = 0; calls < kLeast || seconds_since(begin) < kSeconds; ++calls) {
    const Clock::time_point start = Clock::now();
    work();
    best = std::min(best, seconds_since(start));
  }
  return best;
}

double median_on_device(Device device, const std::function<void()>& work) {
  constexpr double kStretchSeconds = 0.02;
  constexpr double kMostCalls = 2000;
  DeviceBackend& backend = require_backend(device);
  // The first call loads libraries and takes memory; the next ones raise the clocks and tell how long a call is.
  work();
  backend.synchronize(device.index);
  int warm = 0;
  const Clock::time_point begin = Clock::now();
  while (warm == 0 || seconds_since(begin) < kStretchSeconds) {
    work();
    backend.synchronize(device.index);
    ++warm;
  }
  const double estimate = seconds_since(begin) / warm;
  const auto calls =
      static_cast<int>(std::clamp(std::ceil(kStretchSeconds / estimate), 1.0, kMostCalls));
  std::array<double, 5> stretches{};
  for (double& seconds : stretches) {
    const Clock::time_point start = Clock::now();
    for (int call = 0; call < calls; ++call) {
      work();
    }
    backend.synchronize(device.index);
    seconds = seconds_since(start) / calls;
  }
  std::sort(stretches.begin(), stretches.end());
  return stretches[stretches.size() / 2];
}

}  // namespace

double measure_seconds(Device device, const std::function<void()>& work) {
  return device.kind == DeviceKind::kCpu ? fastest_on_host(work) : median_on_device(device, work);
}

Tensor normal_values(const Shape& shape, Dtype dtype, Device device) {
  // A prime: rows of any width begin elsewhere in the period.
  constexpr std::int64_t kPeriod = 65537;
  const std::int64_t count = shape.numel();
  Tensor period = Tensor::empty({std::min(count, kPeriod)}, Dtype::kF32);
  fill_normal(period, RandomStream{.seed = 1}, 0.0, 1.0);
  period = period.to(dtype).to(device);
  if (count <= kPeriod) {
    return period.reshape(shape);
  }
  Tensor values = Tensor::empty({div_ceil(count, kPeriod), kPeriod}, dtype, device);
  values.copy_from(period.expand(values.shape()));
  return values.reshape({values.numel()}).slice(0, 0, count).reshape(shape);
}

}  // namespace clausius
