// SPDX-License-Identifier: Apache-2.0
// Borders of buckets and shares, and the way back from shares to wholes.
#include "train/buckets.h"

#include "core/checked.h"
#include "core/error.h"

namespace clausius {
std::vector<FlatRange> make_buckets(const ParameterStore& parameters,
                                    std::int64_t bucket_bytes,
                                    int shares) {
  const std::int64_t multiple = shares == 1 ? 1 : ParameterStore::kAlignElements * shares;
  CLS_CHECK(parameters.size() % multiple == 0, InternalError, "flat buffers of ", parameters.size(),
            " elements are not padded for ", shares, " shares");
  const std::int64_t least =
      bucket_bytes / narrow<std::int64_t>(size_of(parameters.master().dtype()));
  std::vector<FlatRange> buckets;
  std::int64_t end = parameters.size();
  const auto& all = parameters.parameters();
  for (auto parameter = all.rbegin(); parameter != all.rend(); ++parameter) {
    // A parameter that a border cuts has its head in the next bucket.
    const std::int64_t begin =
        parameter->offset() == 0 ? 0 : round_up(parameter->offset(), multiple);
    if (begin < end && (end - begin >= least || begin == 0)) {
      buckets.push_back({.begin = begin, .end = end});
      end = begin;
    }
  }
  return buckets;
}

FlatRange share_of(const FlatRange& bucket, int rank, int shares) {
  const std::int64_t length = div_exact<std::int64_t>(bucket.size(), shares);
  return {.begin = bucket.begin + rank * length, .end = bucket.begin + (rank + 1) * length};
}

std::vector<FlatRange> shares_of(const std::vector<FlatRange>& buckets, int rank, int shares) {
  std::vector<FlatRange> owned;
  for (const FlatRange& bucket : buckets) {
    owned.push_back(share_of(bucket, rank, shares));
  }
  return owned;
}

void gather_parameters(ParameterStore& parameters,
                       Communicator& communicator,
                       const std::vector<FlatRange>& buckets) {
  std::vector<Work> works;
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    const FlatRange own = share_of(buckets[i], communicator.rank(), communicator.size());
    works.push_back(communicator.all_gather_async(
        parameters.master().slice(0, own.begin, own.end),
        parameters.master().slice(0, buckets[i].begin, buckets[i].end),
        concat("parameters of bucket ", i)));
  }
  for (const Work& work : works) {
    work.wait();
  }
  parameters.refresh_compute_copy();
}

Tensor gather_state(const Tensor& owned,
                    std::int64_t size,
                    Communicator& communicator,
                    const std::vector<FlatRange>& buckets) {
  Tensor whole = communicator.rank() == 0 ? Tensor::zeros({size}, owned.dtype()) : Tensor();
  std::int64_t placed = 0;
  for (const FlatRange& bucket : buckets) {
    const std::int64_t length = bucket.size() / communicator.size();
    Tensor all = Tensor::empty({bucket.size()}, owned.dtype(), owned.device());
    communicator.all_gather(owned.slice(0, placed, placed + length), all, "optimizer state");
    placed += length;
    if (whole.defined()) {
      whole.slice(0, bucket.begin, bucket.end).copy_from(all);
    }
  }
  return whole;
}

}  // namespace clausius
