// SPDX-License-Identifier: Apache-2.0
// The communicator of a single process: every collective is a copy, or nothing; tensors may be on any device.
#include "core/comm/transport.h"
#include "core/parallel.h"

namespace clausius::detail {
namespace {

void copy_part(const Tensor& source, Tensor& destination) {
  if (destination.raw() != source.raw()) {
    destination.copy_from(source);
  }
}

void check_root(int root, std::string_view what) {
  CLS_CHECK(root == 0, ShapeError, "broadcast '", what, "': there is no rank ", root, " among 1");
}

class SingleCommunicator final : public Communicator {
 public:
  [[nodiscard]] int rank() const override { return 0; }
  [[nodiscard]] int size() const override { return 1; }
  [[nodiscard]] int local_rank() const override { return 0; }
  [[nodiscard]] int local_size() const override { return 1; }
  [[nodiscard]] int cores_per_rank() const override { return available_cores(); }
  [[nodiscard]] Overlap overlap() const override { return Overlap::kInline; }
  [[nodiscard]] std::string description() const override { return "single process"; }

  using Communicator::all_reduce;
  void all_reduce(Tensor& values, ReduceOp /*op*/, std::string_view what) override {
    check_reducible(values, "all_reduce", what);
  }
  void reduce_scatter(const Tensor& values, Tensor& mine, std::string_view what) override {
    check_reducible(values, "reduce_scatter", what);
    check_parts(mine, values, 1, "reduce_scatter", what);
    copy_part(values, mine);
  }
  void all_gather(const Tensor& mine, Tensor& all, std::string_view what) override {
    check_parts(mine, all, 1, "all_gather", what);
    copy_part(mine, all);
  }
  void broadcast(Tensor& values, int root, std::string_view what) override {
    check_collective(values, "broadcast", what);
    check_root(root, what);
  }
  void barrier(std::string_view /*what*/) override {}

  [[nodiscard]] Work all_reduce_async(Tensor values, std::string_view what) override {
    all_reduce(values, ReduceOp::kSum, what);
    return {};
  }
  [[nodiscard]] Work reduce_scatter_async(Tensor values,
                                          Tensor mine,
                                          std::string_view what) override {
    reduce_scatter(values, mine, what);
    return {};
  }
  [[nodiscard]] Work all_gather_async(Tensor mine, Tensor all, std::string_view what) override {
    all_gather(mine, all, what);
    return {};
  }
};

}  // namespace

std::unique_ptr<Communicator> make_single_communicator() {
  return std::make_unique<SingleCommunicator>();
}

}  // namespace clausius::detail
