// SPDX-License-Identifier: Apache-2.0
// Counting patterns.
#include "tests/faults/sample.h"

#include <cstring>

namespace clausius::test {
namespace {

Tensor pattern(std::int64_t step, std::int64_t salt, std::int64_t n) {
  Tensor tensor = Tensor::empty({n}, Dtype::kF32);
  for (std::int64_t i = 0; i < n; ++i) {
    tensor.data<float>()[i] = static_cast<float>(step * 1000 + salt * 100 + i % 97);
  }
  return tensor;
}

}  // namespace

Checkpoint sample_checkpoint(std::int64_t step, std::int64_t kilobytes) {
  Checkpoint checkpoint;
  checkpoint.step = step;
  checkpoint.tokens = 10 * step;
  checkpoint.samples = 100 * step;
  checkpoint.texts = {{"recipe", "name: sample\n"}};
  checkpoint.values = {{"threads", std::int64_t{1}}};
  const std::int64_t n = kilobytes * 256;
  checkpoint.tensors = {{"weight", TensorRole::kParameter, pattern(step, 0, n)},
                        {"bias", TensorRole::kParameter, pattern(step, 1, 7)},
                        {"m/weight", TensorRole::kOptimizer, pattern(step, 2, n)}};
  return checkpoint;
}

bool is_sample(const Checkpoint& checkpoint, std::int64_t kilobytes) {
  const Checkpoint expected = sample_checkpoint(checkpoint.step, kilobytes);
  if (checkpoint.tokens != expected.tokens || checkpoint.samples != expected.samples ||
      checkpoint.texts != expected.texts || checkpoint.values != expected.values ||
      checkpoint.tensors.size() != expected.tensors.size()) {
    return false;
  }
  for (std::size_t i = 0; i < expected.tensors.size(); ++i) {
    const CheckpointTensor& a = checkpoint.tensors[i];
    const CheckpointTensor& b = expected.tensors[i];
    if (a.name != b.name || a.role != b.role || a.value.shape() != b.value.shape() ||
        std::memcmp(a.value.raw(), b.value.raw(), b.value.bytes()) != 0) {
      return false;
    }
  }
  return true;
}

std::vector<Hdf5RowSpec> sample_row_specs() {
  return {{.name = "entropy", .dtype = Dtype::kF32, .row_shape = {3, 4}, .attributes = {}},
          {.name = "max_logit", .dtype = Dtype::kF32, .row_shape = {3, 4}, .attributes = {}},
          {.name = "step", .dtype = Dtype::kI64, .row_shape = {}, .attributes = {}}};
}

std::vector<Tensor> sample_row(std::int64_t row) {
  return {pattern(row, 0, 12).reshape({3, 4}), pattern(row, 1, 12).reshape({3, 4}),
          Tensor::scalar(static_cast<double>(row), Dtype::kI64)};
}

}  // namespace clausius::test
