// SPDX-License-Identifier: Apache-2.0
// Strided copies with conversion, and fills, within a device.
#pragma once

#include "core/tensor.h"

namespace clausius::cuda {

void copy(const Tensor& source, Tensor& destination);
void fill(Tensor& destination, double value);

}  // namespace clausius::cuda
