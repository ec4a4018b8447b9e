// SPDX-License-Identifier: Apache-2.0
// CUDA kernel of qk_clip: a block of 128 a row, which ends at once where the row keeps its size.
#include "core/cuda/launch.cuh"
#include "core/dtype.h"
#include "core/ops/qk_clip/qk_clip.h"

namespace clausius::ops {
namespace {

constexpr int kThreads = 128;

__global__ void __launch_bounds__(kThreads) qk_clip_kernel(QkClipPlan plan,
                                                           std::int64_t width,
                                                           const double* max,
                                                           float* rows,
                                                           bf16* copy,
                                                           double* clips) {
  const std::int64_t row = plan.first_row + blockIdx.x;
  const std::int64_t head = row / plan.head_dim;
  if (clips != nullptr && threadIdx.x == 0 && row % plan.head_dim == 0 && head < plan.query_heads &&
      detail::qk_clip_gamma(max[head], plan.threshold) < 1.0) {
    clips[head] += 1.0;  // by this block alone
  }
  const double exact =
      detail::qk_clip_factor(plan, max, row, [](double x, double y) { return pow(x, y); });
  if (exact == 1.0) {
    return;
  }
  const auto factor = static_cast<float>(exact);
  const std::int64_t first = std::int64_t{blockIdx.x} * width;
  for (std::int64_t i = first + threadIdx.x; i < first + width; i += kThreads) {
    rows[i] *= factor;
    if (copy != nullptr) {
      copy[i] = bf16(rows[i]);
    }
  }
}

void qk_clip_cuda(const Tensor& max_H,
                  const QkClipPlan& plan,
                  Tensor& rows_RM,
                  Tensor& rows_copy_RM,
                  Tensor& clips_H) {
  cuda::launch(
      qk_clip_kernel,
      cuda::LaunchConfig{.grid = dim3(narrow<unsigned>(rows_RM.size(0))), .block = dim3(kThreads)},
      plan, rows_RM.size(1), max_H.data<double>(), rows_RM.data<float>(),
      rows_copy_RM ? rows_copy_RM.data<bf16>() : nullptr,
      clips_H ? clips_H.data<double>() : nullptr);
}

CLS_KERNEL(qk_clip, kCuda, kF32, qk_clip_cuda);

}  // namespace
}  // namespace clausius::ops
