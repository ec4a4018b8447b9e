// SPDX-License-Identifier: Apache-2.0
// One rank of a run whose other ranks are made up: what they add is set by the test, what is called is written down.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/comm/communicator.h"

namespace clausius::test {

class FakeCommunicator final : public Communicator {
 public:
  struct Call {
    std::string what;
    std::int64_t elements = 0;
    const std::byte* data = nullptr;
  };

  explicit FakeCommunicator(int rank = 0, int size = 1) : rank_(rank), size_(size) {}

  /// Sums and maxima of this name, or of this name and a number, get this from the other ranks, element by element (scattered ones
  /// nothing).
  std::map<std::string, double> others;
  /// Sums and their order, asynchronous ones too.
  std::vector<Call> calls;

  using Communicator::all_reduce;
  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int size() const override { return size_; }
  [[nodiscard]] int local_rank() const override { return rank_; }
  [[nodiscard]] int local_size() const override { return size_; }
  [[nodiscard]] int cores_per_rank() const override { return 1; }
  [[nodiscard]] Overlap overlap() const override { return Overlap::kInline; }
  [[nodiscard]] std::string description() const override { return "fake"; }

  void all_reduce(Tensor& values, ReduceOp op, std::string_view what) override;
  void reduce_scatter(const Tensor& values, Tensor& mine, std::string_view what) override;
  void all_gather(const Tensor& mine, Tensor& all, std::string_view what) override;
  void broadcast(Tensor& values, int root, std::string_view what) override;
  void barrier(std::string_view what) override;
  [[nodiscard]] Work all_reduce_async(Tensor values, std::string_view what) override;
  [[nodiscard]] Work reduce_scatter_async(Tensor values,
                                          Tensor mine,
                                          std::string_view what) override;
  [[nodiscard]] Work all_gather_async(Tensor mine, Tensor all, std::string_view what) override;

 private:
  int rank_;
  int size_;
};

}  // namespace clausius::test
