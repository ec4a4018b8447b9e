// SPDX-License-Identifier: Apache-2.0
// CUDA kernels of dropout: blocks of 256, a thread two Philox blocks' eight elements where memory is aligned, one's four else.
#include "core/cuda/philox.cuh"
#include "core/ops/dropout/dropout.h"
#include "core/ops/dropout/dropout_reference.h"

namespace clausius::ops {
namespace {

struct DropoutPlan {
  std::int64_t rows;
  std::int64_t width;
  std::uint32_t threshold;  // words below it are dropped
  float scale;
  RandomStream stream;
};

__device__ inline float keep_or_drop(std::uint32_t word, const DropoutPlan& plan, float value) {
  return word < plan.threshold ? 0.0F : plan.scale * value;
}

template <class T>
__global__ void dropout_vectors_kernel(DropoutPlan plan,
                                       const T* x,
                                       const std::int64_t* samples,
                                       T* y) {
  constexpr int kWidth = 8;
  const std::int64_t pieces = plan.width / kWidth;
  for (std::int64_t item = cuda::global_index(); item < plan.rows * pieces;
       item += cuda::global_threads()) {
    const cuda::Split at = cuda::split(item, pieces);
    const auto sample = static_cast<std::uint32_t>(samples[at.quotient] & 0xffffffff);
    auto part = cuda::load_floats<kWidth>(x + item * kWidth);
    CLS_UNROLL
    for (int block = 0; block < kWidth / 4; ++block) {
      const cuda::PhiloxWords words = cuda::philox_block(
          plan.stream, sample, static_cast<std::uint32_t>(at.rest * (kWidth / 4) + block));
      CLS_UNROLL
      for (int i = 0; i < 4; ++i) {
        float& value = part.value[block * 4 + i];
        value = keep_or_drop(words.word[i], plan, value);
      }
    }
    cuda::store_floats<kWidth>(y + item * kWidth, part);
  }
}

template <class T>
__global__ void dropout_elements_kernel(DropoutPlan plan,
                                        const T* x,
                                        const std::int64_t* samples,
                                        T* y) {
  const std::int64_t blocks = (plan.width + 3) / 4;
  for (std::int64_t item = cuda::global_index(); item < plan.rows * blocks;
       item += cuda::global_threads()) {
    const cuda::Split at = cuda::split(item, blocks);
    const auto sample = static_cast<std::uint32_t>(samples[at.quotient] & 0xffffffff);
    const cuda::PhiloxWords words =
        cuda::philox_block(plan.stream, sample, static_cast<std::uint32_t>(at.rest));
    const std::int64_t first = at.rest * 4;
    CLS_UNROLL
    for (int i = 0; i < 4; ++i) {
      if (first + i < plan.width) {
        const std::int64_t e = at.quotient * plan.width + first + i;
        y[e] = T(keep_or_drop(words.word[i], plan, static_cast<float>(x[e])));
      }
    }
  }
}

template <class T>
void dropout_cuda(
    const Tensor& x, const Tensor& samples, Tensor& y, double p, const RandomStream& stream) {
  const DropoutPlan plan{.rows = x.size(0),
                         .width = x.size(1),
                         .threshold = dropout_threshold(p),
                         .scale = static_cast<float>(1.0 / (1.0 - p)),
                         .stream = stream};
  const bool vectors = plan.width % 8 == 0 && cuda::aligned_for_vectors(x.raw(), y.raw());
  cuda::launch(
      vectors ? dropout_vectors_kernel<T> : dropout_elements_kernel<T>,
      cuda::grid_over(vectors ? x.numel() / 8 : plan.rows * div_ceil<std::int64_t>(plan.width, 4)),
      plan, x.data<T>(), samples.data<std::int64_t>(), y.data<T>());
}

CLS_KERNEL(dropout, kCuda, kF32, dropout_cuda<float>);
CLS_KERNEL(dropout, kCuda, kBf16, dropout_cuda<bf16>);

}  // namespace
}  // namespace clausius::ops
