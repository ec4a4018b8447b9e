// SPDX-License-Identifier: Apache-2.0
// Masks without tensors to key intervals, on the device: nothing waits for the host.
#include "core/cuda/launch.cuh"
#include "core/ops/attention/attention_mask.h"

namespace clausius::ops {
namespace {

struct MaskNumbers {
  bool causal;
  std::int64_t window;  // 0: none
  std::int64_t query_offset;
  std::int64_t S;
};

__global__ void mask_bounds_kernel(std::int64_t rows,
                                   std::int64_t T,
                                   MaskNumbers mask,
                                   std::int32_t* begin_BT,
                                   std::int32_t* end_BT) {
  for (std::int64_t n = cuda::global_index(); n < rows; n += cuda::global_threads()) {
    const KeyInterval keys =
        KeyInterval{0, mask.S}.seen_from(mask.query_offset + n % T, mask.causal, mask.window);
    begin_BT[n] = static_cast<std::int32_t>(keys.begin);
    end_BT[n] = static_cast<std::int32_t>(keys.end);
  }
}

void attention_bounds_cuda(const AttentionMask& mask,
                           std::int64_t S,
                           Tensor& begin_BT,
                           Tensor& end_BT) {
  cuda::launch(mask_bounds_kernel, cuda::grid_over(begin_BT.numel()), begin_BT.numel(),
               begin_BT.size(1),
               MaskNumbers{mask.causal, mask.window.value_or(0), mask.query_offset, S},
               begin_BT.data<std::int32_t>(), end_BT.data<std::int32_t>());
}

[[maybe_unused]] const bool registered = [] {
  attention_bounds_kernel() = attention_bounds_cuda;
  return true;
}();

}  // namespace
}  // namespace clausius::ops
