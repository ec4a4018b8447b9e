// SPDX-License-Identifier: Apache-2.0
// Communicators as recipes want them.
#include "train/commands/ranks.h"

#include <utility>

namespace clausius {

std::unique_ptr<Communicator> make_communicator(const ParallelConfig& parallel, Device device) {
  const CommunicatorOptions options{
      .order = parallel.reduction_order,
      .reduce_dtype = parallel.reduce_dtype == ReduceDtype::kBf16 ? Dtype::kBf16 : Dtype::kF32,
      .timeout_s = parallel.timeout_s};
  std::unique_ptr<Communicator> ranks = make_communicator(options);
  const std::int64_t on_gpu = device.kind == DeviceKind::kCuda ? 1 : 0;
  const std::int64_t gpus = ranks->all_reduce(on_gpu, ReduceOp::kSum, "devices");
  CLS_CHECK(gpus == 0 || gpus == ranks->size(), CommError, gpus, " of ", ranks->size(),
            " ranks have a CUDA device; give each rank one, or set device: cpu");
  return connect_device(std::move(ranks), device, options);
}

}  // namespace clausius
