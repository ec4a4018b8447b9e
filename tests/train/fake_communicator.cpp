// SPDX-License-Identifier: Apache-2.0
// The made-up ranks.
#include "tests/train/fake_communicator.h"

#include <algorithm>

#include "core/error.h"

namespace clausius::test {
namespace {

[[noreturn]] void not_faked(std::string_view what) {
  throw UnsupportedError(concat("the fake communicator only sums and takes maxima: ", what));
}

}  // namespace

void FakeCommunicator::all_reduce(Tensor& values, ReduceOp op, std::string_view what) {
  calls.push_back({std::string(what), values.numel(), values.raw()});
  const std::string family(what.substr(0, what.find_last_not_of("0123456789") + 1));
  auto other = others.find(std::string(what));
  if (other == others.end()) {
    other = others.find(family);
  }
  if (op == ReduceOp::kMin || other == others.end()) {
    return;
  }
  Tensor sums = values.to(Dtype::kF64).clone();
  for (double& value : sums.span<double>()) {
    value = op == ReduceOp::kSum ? value + other->second : std::max(value, other->second);
  }
  values.copy_from(sums);
}

Work FakeCommunicator::all_reduce_async(Tensor values, std::string_view what) {
  all_reduce(values, ReduceOp::kSum, what);
  return {};
}

void FakeCommunicator::reduce_scatter(const Tensor& /*values*/,
                                      Tensor& /*mine*/,
                                      std::string_view what) {
  not_faked(what);
}
void FakeCommunicator::all_gather(const Tensor& /*mine*/, Tensor& /*all*/, std::string_view what) {
  not_faked(what);
}
void FakeCommunicator::broadcast(Tensor& /*values*/, int /*root*/, std::string_view what) {
  not_faked(what);
}
void FakeCommunicator::barrier(std::string_view /*what*/) {}
Work FakeCommunicator::reduce_scatter_async(Tensor values, Tensor mine, std::string_view what) {
  calls.push_back({std::string(what), values.numel(), values.raw()});
  const std::int64_t n = mine.numel();
  mine.copy_from(values.slice(0, rank_ * n, (rank_ + 1) * n));
  return {};
}
Work FakeCommunicator::all_gather_async(Tensor /*mine*/, Tensor /*all*/, std::string_view what) {
  not_faked(what);
}

}  // namespace clausius::test
