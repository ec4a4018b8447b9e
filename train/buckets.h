// SPDX-License-Identifier: Apache-2.0
// How ranks cut the flat parameter buffers: buckets that are summed as one, and, with ZeRO-1, each rank's share of a bucket.
#pragma once

#include <cstdint>
#include <vector>

#include "autograd/parameter.h"
#include "core/comm/communicator.h"

namespace clausius {

/// Stretches of the flat buffers in the order in which backward finishes their gradients, from the end to the beginning: each at
/// least `bucket_bytes` of gradients but the last. `shares`: into how many equal shares every bucket can be cut; 1: none, and
/// buckets end where parameters do. The store's buffers must be padded for as many (ParameterStore::allocate).
[[nodiscard]] std::vector<FlatRange> make_buckets(const ParameterStore& parameters,
                                                  std::int64_t bucket_bytes,
                                                  int shares);

/// The share of a bucket that belongs to a rank.
[[nodiscard]] FlatRange share_of(const FlatRange& bucket, int rank, int shares);
/// The rank's shares of all buckets.
[[nodiscard]] std::vector<FlatRange> shares_of(const std::vector<FlatRange>& buckets,
                                               int rank,
                                               int shares);

/// Every rank's share of the master values to every rank, and from them the compute copy. Collective.
void gather_parameters(ParameterStore& parameters,
                       Communicator& communicator,
                       const std::vector<FlatRange>& buckets);

/// Optimizer state of which each rank holds its own shares, whole on the host of rank 0 (undefined on the others): one number for
/// each element of the flat buffers. Collective.
[[nodiscard]] Tensor gather_state(const Tensor& owned,
                                  std::int64_t size,
                                  Communicator& communicator,
                                  const std::vector<FlatRange>& buckets);

}  // namespace clausius
