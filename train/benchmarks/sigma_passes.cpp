// SPDX-License-Identifier: Apache-2.0
// What the sigma reparametrisation adds to a step: the refresh of the norms and the correction of the gradients.
#include <algorithm>
#include <vector>

#include "core/ops/sigma_gradient/sigma_gradient.h"
#include "core/ops/spectral_refresh/spectral_refresh.h"
#include "train/benchmarks/micro.h"
#include "train/benchmarks/timing.h"

namespace clausius {
namespace {

// The matrices of as many blocks of a decoder as the parameters make.
struct Stack {
  std::vector<Tensor> weights;
  std::vector<ops::SigmaMatrix> matrices;
  Tensor u;
  Tensor v;
  Tensor sigma;
  double bytes = 0;  // of the weights
};

Stack stack(Device device, const BenchmarkShapes& shapes) {
  const std::int64_t w = shapes.width;
  const std::int64_t blocks = std::max<std::int64_t>(1, shapes.parameters / (12 * w * w));
  Stack s;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  for (std::int64_t block = 0; block < blocks; ++block) {
    for (const Shape& shape : {Shape{3 * w, w}, Shape{w, w}, Shape{4 * w, w}, Shape{w, 4 * w}}) {
      const Tensor weight = normal_values(shape, Dtype::kF32, device);
      s.weights.push_back(weight);
      rows += shape[0];
      columns += shape[1];
      s.bytes += static_cast<double>(weight.bytes());
    }
  }
  s.u = normal_values({columns}, Dtype::kF32, device);
  s.v = Tensor::zeros({rows}, Dtype::kF32, device);
  s.sigma = Tensor::zeros({std::ssize(s.weights)}, Dtype::kF32, device);
  ops::spectral_refresh(s.weights, s.u, s.v, s.sigma);
  const Tensor c = Tensor::zeros({std::ssize(s.weights)}, Dtype::kF64, device);
  std::int64_t row = 0;
  std::int64_t column = 0;
  for (std::int64_t e = 0; e < std::ssize(s.weights); ++e) {
    const Tensor& weight = s.weights[static_cast<std::size_t>(e)];
    s.matrices.push_back({.weight_MN = weight,
                          .gradient_MN = weight.clone(),
                          .u_N = s.u.slice(0, column, column + weight.size(1)),
                          .v_M = s.v.slice(0, row, row + weight.size(0)),
                          .sigma = s.sigma.slice(0, e, e + 1),
                          .gamma = Tensor::full({1}, 1.0, Dtype::kF32, device),
                          .c_S = c.slice(0, e, e + 1)});
    row += weight.size(0);
    column += weight.size(1);
  }
  return s;
}

void add_passes(BenchmarkList& list) {
  const Device device = list.device();
  const BenchmarkShapes shapes = list.shapes();
  list.add(concat("spectral_refresh/", shapes.parameters), Dtype::kF32, [=]() -> MicroWork {
    Stack s = stack(device, shapes);
    return {.run = [=]() mutable { ops::spectral_refresh(s.weights, s.u, s.v, s.sigma); },
            .bytes = s.bytes};
  });
  // Reads weights and gradients, then reads and writes the gradients.
  list.add(concat("sigma_gradient/", shapes.parameters), Dtype::kF32, [=]() -> MicroWork {
    const Stack s = stack(device, shapes);
    return {.run = [=] { ops::sigma_finish_gradients(s.matrices); }, .bytes = 4 * s.bytes};
  });
}

CLS_BENCHMARKS("sigma_passes", add_passes);

}  // namespace
}  // namespace clausius
