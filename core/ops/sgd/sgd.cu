// SPDX-License-Identifier: Apache-2.0
// CUDA kernel of the SGD step: blocks of 256 on pieces of 8192 elements, sixteen bytes of each buffer a thread.
#include "core/cuda/update.cuh"
#include "core/ops/sgd/sgd.h"

namespace clausius::ops {
namespace {

using cuda::Floats;

struct SgdPlan {
  double lr;
  float momentum;
  float gradient_scale;
  bool nesterov;
};

struct SgdBuffers {
  const float* gradient;
  float* velocity;  // null without momentum
  float* master;
  bf16* compute;  // may be null
};

__global__ void __launch_bounds__(cuda::kUpdateThreads) sgd_kernel(
    cuda::UpdateBatch batch, SgdPlan plan, SgdBuffers buffers, bool aligned, double* partial) {
  const auto update = [&](auto width, std::int64_t i, int range) {
    constexpr int kWidth = decltype(width)::value;
    const auto rate = static_cast<float>(plan.lr * batch.lr_scale[range]);
    const auto decay = static_cast<float>(batch.weight_decay[range]);
    Floats<kWidth> p = cuda::load_floats<kWidth>(buffers.master + i);
    Floats<kWidth> direction = cuda::load_floats<kWidth>(buffers.gradient + i);
    CLS_UNROLL
    for (int j = 0; j < kWidth; ++j) {
      direction.value[j] = fmaf(plan.gradient_scale, direction.value[j], decay * p.value[j]);
    }
    if (buffers.velocity != nullptr) {
      Floats<kWidth> v = cuda::load_floats<kWidth>(buffers.velocity + i);
      CLS_UNROLL
      for (int j = 0; j < kWidth; ++j) {
        const float g = direction.value[j];
        v.value[j] = fmaf(plan.momentum, v.value[j], g);
        direction.value[j] = plan.nesterov ? fmaf(plan.momentum, v.value[j], g) : v.value[j];
      }
      cuda::store_floats<kWidth>(buffers.velocity + i, v);
    }
    float squares = 0.0F;
    CLS_UNROLL
    for (int j = 0; j < kWidth; ++j) {
      const float change = rate * direction.value[j];
      p.value[j] -= change;
      squares = fmaf(change, change, squares);
    }
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

void sgd_cuda(const Tensor& gradient,
              Tensor& velocity,
              Tensor& master,
              Tensor& compute,
              UpdateRanges ranges,
              const SgdStep& step,
              Tensor& change) {
  const SgdPlan plan{.lr = step.lr,
                     .momentum = static_cast<float>(step.momentum),
                     .gradient_scale = static_cast<float>(step.gradient_scale),
                     .nesterov = step.nesterov};
  const SgdBuffers buffers{.gradient = gradient.data<float>(),
                           .velocity = step.momentum != 0.0 ? velocity.data<float>() : nullptr,
                           .master = master.data<float>(),
                           .compute = compute ? compute.data<bf16>() : nullptr};
  const bool aligned =
      cuda::aligned_for_vectors(gradient.raw(), velocity.raw(), master.raw(), compute.raw());
  Tensor partial = Tensor::empty({cuda::count_pieces(ranges)}, Dtype::kF64, master.device());
  cuda::for_each_batch(ranges, [&](const cuda::UpdateBatch& batch, std::int64_t first) {
    cuda::launch(sgd_kernel,
                 cuda::LaunchConfig{.grid = dim3(narrow<unsigned>(batch.pieces)),
                                    .block = dim3(cuda::kUpdateThreads)},
                 batch, plan, buffers, aligned, partial.data<double>() + first);
  });
  cuda::ordered_sum(partial, change);
}

CLS_KERNEL(sgd, kCuda, kF32, sgd_cuda);

}  // namespace
}  // namespace clausius::ops
