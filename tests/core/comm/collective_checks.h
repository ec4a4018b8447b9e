// SPDX-License-Identifier: Apache-2.0
// Every collective against its definition; called on each rank, whatever carries the messages.
#pragma once

#include <cstdint>
#include <ostream>

#include "core/comm/communicator.h"
#include "core/tensor.h"

namespace clausius::test {

struct CollectiveCase {
  std::int64_t n = 1;
  std::int64_t segment_bytes = std::int64_t{16} << 20;
  ReductionOrder order = ReductionOrder::kRank;
  Overlap overlap = Overlap::kInline;
  Device device = kCpu;  // of the tensors
};

std::ostream& operator<<(std::ostream& out, const CollectiveCase& c);

[[nodiscard]] CommunicatorOptions options_of(const CollectiveCase& c,
                                             Dtype reduce_dtype = Dtype::kF32);

/// What a rank contributes: values whose sum depends on the order of additions. On the CPU.
[[nodiscard]] Tensor contribution(int rank, std::int64_t n, Dtype dtype = Dtype::kF32);

/// Wherever they are.
[[nodiscard]] bool same_bits(const Tensor& a, const Tensor& b);

// Each is called on all ranks of a communicator that has the options of `c`, and reports failures to GoogleTest.
void check_all_reduce(Communicator& communicator, const CollectiveCase& c);
void check_scatter_and_gather(Communicator& communicator, const CollectiveCase& c);
/// Of a communicator with reduce_dtype kBf16.
void check_bf16_wire(Communicator& communicator, const CollectiveCase& c);
void check_broadcast(Communicator& communicator, const CollectiveCase& c);

}  // namespace clausius::test
