// SPDX-License-Identifier: Apache-2.0
// Contents that both sides of the fault tests can make: the program that is killed, and the test that looks at what
// is left.
#pragma once

#include <cstdint>
#include <vector>

#include "core/io/hdf5_rows.h"
#include "train/checkpoint.h"

namespace clausius::test {

/// `kilobytes`: of each tensor.
[[nodiscard]] Checkpoint sample_checkpoint(std::int64_t step, std::int64_t kilobytes = 5);
/// Compares everything with sample_checkpoint of its own step.
[[nodiscard]] bool is_sample(const Checkpoint& checkpoint, std::int64_t kilobytes = 5);

[[nodiscard]] std::vector<Hdf5RowSpec> sample_row_specs();
[[nodiscard]] std::vector<Tensor> sample_row(std::int64_t row);

}  // namespace clausius::test
