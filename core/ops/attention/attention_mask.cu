// SPDX-License-Identifier: Apache-2.0
// Masks to key intervals, and intervals to counts, on the device: nothing waits for the host.
#include "core/cuda/launch.cuh"
#include "core/ops/attention/attention_mask.h"

namespace clausius::ops {
namespace {

struct MaskNumbers {
  bool causal;
  std::int64_t window;  // 0: none
  std::int64_t query_offset;
  std::int64_t S;
  const std::int32_t* document_begin_BT;  // null: all keys
  const std::int32_t* document_end_BT;
};

__global__ void mask_bounds_kernel(std::int64_t rows,
                                   std::int64_t T,
                                   MaskNumbers mask,
                                   std::int32_t* begin_BT,
                                   std::int32_t* end_BT) {
  for (std::int64_t n = cuda::global_index(); n < rows; n += cuda::global_threads()) {
    KeyInterval keys{0, mask.S};
    if (mask.document_begin_BT != nullptr) {
      keys = {mask.document_begin_BT[n], mask.document_end_BT[n]};
    }
    keys = keys.seen_from(mask.query_offset + n % T, mask.causal, mask.window);
    begin_BT[n] = static_cast<std::int32_t>(keys.begin);
    end_BT[n] = static_cast<std::int32_t>(keys.end);
  }
}

void attention_bounds_cuda(const AttentionMask& mask,
                           std::int64_t S,
                           Tensor& begin_BT,
                           Tensor& end_BT) {
  const auto bound = [](const Tensor& tensor) {
    return tensor.defined() ? tensor.data<std::int32_t>() : nullptr;
  };
  cuda::launch(mask_bounds_kernel, cuda::grid_over(begin_BT.numel()), begin_BT.numel(),
               begin_BT.size(1),
               MaskNumbers{mask.causal, mask.window.value_or(0), mask.query_offset, S,
                           bound(mask.documents.begin_BT), bound(mask.documents.end_BT)},
               begin_BT.data<std::int32_t>(), end_BT.data<std::int32_t>());
}

__global__ void visible_counts_kernel(std::int64_t rows,
                                      const std::int32_t* begin_BT,
                                      const std::int32_t* end_BT,
                                      std::int32_t sinks,
                                      std::int32_t* counts_BT) {
  for (std::int64_t n = cuda::global_index(); n < rows; n += cuda::global_threads()) {
    counts_BT[n] = end_BT[n] - begin_BT[n] + sinks;
  }
}

void visible_counts_cuda(const AttentionBounds& bounds, std::int32_t sinks, Tensor& counts_BT) {
  cuda::launch(visible_counts_kernel, cuda::grid_over(counts_BT.numel()), counts_BT.numel(),
               bounds.begin_BT.data<std::int32_t>(), bounds.end_BT.data<std::int32_t>(), sinks,
               counts_BT.data<std::int32_t>());
}

[[maybe_unused]] const bool registered = [] {
  attention_mask_kernels() = {.bounds = attention_bounds_cuda, .counts = visible_counts_cuda};
  return true;
}();

}  // namespace
}  // namespace clausius::ops
