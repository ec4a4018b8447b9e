// SPDX-License-Identifier: Apache-2.0
// The passes over the flat buffers of parameters and gradients.
#include <vector>

#include "core/ops/adamw/adamw.h"
#include "core/ops/sgd/sgd.h"
#include "core/ops/sum_of_squares/sum_of_squares.h"
#include "train/benchmarks/micro.h"
#include "train/benchmarks/timing.h"

namespace clausius {
namespace {

Tensor flat(double value, std::int64_t count, Device device) {
  return Tensor::full({count}, value, Dtype::kF32, device);
}

// Reads gradient, two moments and the master; writes moments, master and (bf16) the compute copy.
MicroWork adamw(Device device, std::int64_t count, Dtype dtype) {
  const Tensor gradient = flat(1e-3, count, device);
  Tensor m = flat(0, count, device);
  Tensor v = flat(0, count, device);
  Tensor master = flat(0.02, count, device);
  Tensor compute = dtype == Dtype::kBf16 ? Tensor::zeros({count}, Dtype::kBf16, device) : Tensor();
  const std::vector<UpdateRange> ranges = {{.begin = 0, .end = count, .weight_decay = 0.1}};
  return {.run = [=]() mutable { (void)ops::adamw(gradient, m, v, master, compute, ranges, {}); },
          .bytes = static_cast<double>(count) * (compute ? 30.0 : 28.0)};
}

MicroWork sgd(Device device, std::int64_t count, Dtype dtype) {
  const Tensor gradient = flat(1e-3, count, device);
  Tensor velocity = flat(0, count, device);
  Tensor master = flat(0.02, count, device);
  Tensor compute = dtype == Dtype::kBf16 ? Tensor::zeros({count}, Dtype::kBf16, device) : Tensor();
  const std::vector<UpdateRange> ranges = {{.begin = 0, .end = count}};
  return {.run = [=]() mutable { (void)ops::sgd(gradient, velocity, master, compute, ranges, {}); },
          .bytes = static_cast<double>(count) * (compute ? 22.0 : 20.0)};
}

void add_passes(BenchmarkList& list) {
  const Device device = list.device();
  const std::int64_t count = list.shapes().parameters;
  list.add(concat("adamw/", count), [=](Dtype dtype) { return adamw(device, count, dtype); });
  list.add(concat("sgd/", count), [=](Dtype dtype) { return sgd(device, count, dtype); });
  list.add(concat("sum_of_squares/", count), Dtype::kF32, [=]() -> MicroWork {
    const Tensor x = flat(1e-3, count, device);
    return {.run = [=] { (void)ops::sum_of_squares(x); }, .bytes = static_cast<double>(x.bytes())};
  });
}

CLS_BENCHMARKS("optimizer_passes", add_passes);

}  // namespace
}  // namespace clausius
