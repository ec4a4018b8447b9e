// SPDX-License-Identifier: Apache-2.0
// Test inputs drawn from the counter generator.
#pragma once

#include <string_view>

#include "core/random.h"
#include "core/tensor.h"

namespace clausius::test {

/// Standard normal times `std`, f64, the same for equal (shape, name).
[[nodiscard]] Tensor random_normal(const Shape& shape, std::string_view name, double std = 1.0);

}  // namespace clausius::test
