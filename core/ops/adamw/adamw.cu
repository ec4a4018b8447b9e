// SPDX-License-Identifier: Apache-2.0
// CUDA kernel of the AdamW step: blocks of 256 on pieces of 8192 elements, sixteen bytes of each buffer a thread.
#include <cmath>

#include "core/cuda/update.cuh"
#include "core/ops/adamw/adamw.h"

namespace clausius::ops {
namespace {

using cuda::Floats;

struct AdamwPlan {
  double lr;
  double rate;  // lr over the bias correction of m
  float root_scale;
  float beta1;
  float beta2;
  float eps;
  float gradient_scale;
  bool decoupled;
};

struct AdamwBuffers {
  const float* gradient;
  float* m;
  float* v;
  float* master;
  bf16* compute;  // may be null
};

__global__ void __launch_bounds__(cuda::kUpdateThreads) adamw_kernel(
    cuda::UpdateBatch batch, AdamwPlan plan, AdamwBuffers buffers, bool aligned, double* partial) {
  const auto update = [&](auto width, std::int64_t i, int range) {
    constexpr int kWidth = decltype(width)::value;
    const auto rate = static_cast<float>(plan.rate * batch.lr_scale[range]);
    const double weight_decay = batch.weight_decay[range];
    const auto coupled = static_cast<float>(plan.decoupled ? 0.0 : weight_decay);
    const auto decay =
        static_cast<float>(plan.decoupled ? plan.lr * batch.lr_scale[range] * weight_decay : 0.0);
    const Floats<kWidth> gradient = cuda::load_floats<kWidth>(buffers.gradient + i);
    Floats<kWidth> m = cuda::load_floats<kWidth>(buffers.m + i);
    Floats<kWidth> v = cuda::load_floats<kWidth>(buffers.v + i);
    Floats<kWidth> p = cuda::load_floats<kWidth>(buffers.master + i);
    float squares = 0.0F;
    CLS_UNROLL
    for (int j = 0; j < kWidth; ++j) {
      const float g = fmaf(plan.gradient_scale, gradient.value[j], coupled * p.value[j]);
      const float square = g * g;
      // b m + (1 - b) g as g + b (m - g): one rounding less, and exact where m = g.
      m.value[j] = fmaf(plan.beta1, m.value[j] - g, g);
      v.value[j] = fmaf(plan.beta2, v.value[j] - square, square);
      const float root = fmaf(sqrtf(v.value[j]), plan.root_scale, plan.eps);
      const float change = fmaf(decay, p.value[j], rate * m.value[j] / root);
      p.value[j] -= change;
      squares = fmaf(change, change, squares);
    }
    cuda::store_floats<kWidth>(buffers.m + i, m);
    cuda::store_floats<kWidth>(buffers.v + i, v);
    cuda::store_floats<kWidth>(buffers.master + i, p);
    if (buffers.compute != nullptr) {
      cuda::store_floats<kWidth>(buffers.compute + i, p);
    }
    return squares;
  };
  const double sum = cuda::walk_piece(batch, aligned, update);
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = sum;
  }
}

void adamw_cuda(const Tensor& gradient,
                Tensor& m,
                Tensor& v,
                Tensor& master,
                Tensor& compute,
                UpdateRanges ranges,
                const AdamwStep& step,
                Tensor& change) {
  const auto count = static_cast<double>(step.step);
  const AdamwPlan plan{
      .lr = step.lr,
      .rate = step.lr / (1.0 - std::pow(step.beta1, count)),
      .root_scale = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(step.beta2, count))),
      .beta1 = static_cast<float>(step.beta1),
      .beta2 = static_cast<float>(step.beta2),
      .eps = static_cast<float>(step.eps),
      .gradient_scale = static_cast<float>(step.gradient_scale),
      .decoupled = step.decoupled};
  const AdamwBuffers buffers{.gradient = gradient.data<float>(),
                             .m = m.data<float>(),
                             .v = v.data<float>(),
                             .master = master.data<float>(),
                             .compute = compute ? compute.data<bf16>() : nullptr};
  const bool aligned =
      cuda::aligned_for_vectors(gradient.raw(), m.raw(), v.raw(), master.raw(), compute.raw());
  Tensor partial = Tensor::empty({cuda::count_pieces(ranges)}, Dtype::kF64, master.device());
  cuda::for_each_batch(ranges, [&](const cuda::UpdateBatch& batch, std::int64_t first) {
    cuda::launch(adamw_kernel,
                 cuda::LaunchConfig{.grid = dim3(narrow<unsigned>(batch.pieces)),
                                    .block = dim3(cuda::kUpdateThreads)},
                 batch, plan, buffers, aligned, partial.data<double>() + first);
  });
  cuda::ordered_sum(partial, change);
}

CLS_KERNEL(adamw, kCuda, kF32, adamw_cuda);

}  // namespace
}  // namespace clausius::ops
