// SPDX-License-Identifier: Apache-2.0
// Every pointwise op, forward and backward.
#include "core/ops/pointwise.h"

#include "core/random.h"
#include "train/benchmarks/micro.h"
#include "train/benchmarks/timing.h"

namespace clausius {
namespace {

using Forward = Tensor (*)(const Tensor&);
using Backward = Tensor (*)(const Tensor&, const Tensor&);

// Positive, so that logarithms and roots take their ordinary path.
Tensor positive(std::int64_t count, Dtype dtype, Device device) {
  return ops::exp(normal_values({count}, dtype, device));
}

void add_op(BenchmarkList& list, const std::string& name, Forward forward, Backward backward) {
  const Device device = list.device();
  const std::int64_t count = list.shapes().elements;
  list.add(concat(name, "/forward/", count), [=](Dtype dtype) -> MicroWork {
    const Tensor x = positive(count, dtype, device);
    return {.run = [=] { (void)forward(x); }, .bytes = 2.0 * static_cast<double>(x.bytes())};
  });
  list.add(concat(name, "/backward/", count), [=](Dtype dtype) -> MicroWork {
    const Tensor x = positive(count, dtype, device);
    const Tensor dy = x.clone();
    return {.run = [=] { (void)backward(dy, x); }, .bytes = 3.0 * static_cast<double>(x.bytes())};
  });
}

void add_pointwise(BenchmarkList& list) {
#define CLS_POINTWISE(name, Struct) add_op(list, #name, &ops::name, &ops::name##_backward);
#include "core/ops/pointwise_list.inc"
#undef CLS_POINTWISE
}

CLS_BENCHMARKS("pointwise", add_pointwise);

}  // namespace
}  // namespace clausius
