// SPDX-License-Identifier: Apache-2.0
// CUDA kernels of rotary embedding: blocks of 256, a thread a vector of pairs of one head.
#include "core/cuda/runs.cuh"
#include "core/ops/rope/rope.h"

namespace clausius::ops {
namespace {

struct RopePlan {
  std::int64_t batch;
  std::int64_t length;
  std::int64_t heads;
  std::int64_t half;
  std::int64_t table_rows;
  float sign;
  std::int64_t x_step[3];  // of B, T and H, in elements
  std::int64_t y_step[3];
  std::int64_t position_step[2];
};

// A position outside the table gives NaN: the device cannot throw. x may be y: a thread reads its pairs before it writes them.
template <int W, class T>
__global__ void rope_kernel(RopePlan plan,
                            const T* x,
                            const std::int32_t* positions,
                            const float* cos,
                            const float* sin,
                            T* y) {
  const std::int64_t pieces = plan.half / W;
  const std::int64_t items = plan.batch * plan.length * plan.heads * pieces;
  for (std::int64_t item = cuda::global_index(); item < items; item += cuda::global_threads()) {
    const cuda::Split piece = cuda::split(item, pieces);
    const cuda::Split head = cuda::split(piece.quotient, plan.heads);
    const cuda::Split token = cuda::split(head.quotient, plan.length);
    const std::int64_t i = piece.rest * W;
    const T* from = x + token.quotient * plan.x_step[0] + token.rest * plan.x_step[1] +
                    head.rest * plan.x_step[2] + i;
    T* to = y + token.quotient * plan.y_step[0] + token.rest * plan.y_step[1] +
            head.rest * plan.y_step[2] + i;
    const std::int64_t position =
        positions[token.quotient * plan.position_step[0] + token.rest * plan.position_step[1]];
    const bool inside = position >= 0 && position < plan.table_rows;
    const std::int64_t row = inside ? position : 0;
    const auto cosine = cuda::load_floats<W>(cos + row * plan.half + i);
    const auto sine = cuda::load_floats<W>(sin + row * plan.half + i);
    auto first = cuda::load_floats<W>(from);
    auto second = cuda::load_floats<W>(from + plan.half);
    CLS_UNROLL
    for (int j = 0; j < W; ++j) {
      const float c = inside ? cosine.value[j] : NAN;
      const float s = plan.sign * sine.value[j];
      const float a = first.value[j];
      const float b = second.value[j];
      first.value[j] = fmaf(-b, s, a * c);
      second.value[j] = fmaf(a, s, b * c);
    }
    cuda::store_floats<W>(to, first);
    cuda::store_floats<W>(to + plan.half, second);
  }
}

// True when every head starts on a vector of T.
template <class T>
bool heads_are_aligned(const Tensor& tensor) {
  bool aligned = cuda::aligned_for_vectors(tensor.raw());
  for (int axis = 0; axis < 3; ++axis) {
    aligned =
        aligned && (tensor.size(axis) == 1 || tensor.stride(axis) % cuda::kVectorWidth<T> == 0);
  }
  return aligned;
}

template <class T>
void rope_cuda(const Tensor& x,
               const Tensor& positions,
               const Tensor& cos,
               const Tensor& sin,
               Tensor& y,
               int sign) {
  constexpr int kWidth = cuda::kVectorWidth<T>;
  const Tensor cosines = cos.contiguous();
  const Tensor sines = sin.contiguous();
  const RopePlan plan{.batch = x.size(0),
                      .length = x.size(1),
                      .heads = x.size(2),
                      .half = x.size(3) / 2,
                      .table_rows = cos.size(0),
                      .sign = static_cast<float>(sign),
                      .x_step = {x.stride(0), x.stride(1), x.stride(2)},
                      .y_step = {y.stride(0), y.stride(1), y.stride(2)},
                      .position_step = {positions.stride(0), positions.stride(1)}};
  const bool vectors = plan.half % kWidth == 0 && heads_are_aligned<T>(x) &&
                       heads_are_aligned<T>(y) &&
                       cuda::aligned_for_vectors(cosines.raw(), sines.raw());
  cuda::launch(vectors ? rope_kernel<kWidth, T> : rope_kernel<1, T>,
               cuda::grid_over(x.numel() / 2 / (vectors ? kWidth : 1)), plan, x.data<T>(),
               positions.data<std::int32_t>(), cosines.data<float>(), sines.data<float>(),
               y.data<T>());
}

CLS_KERNEL(rope, kCuda, kF32, rope_cuda<float>);
CLS_KERNEL(rope, kCuda, kBf16, rope_cuda<bf16>);

}  // namespace
}  // namespace clausius::ops
