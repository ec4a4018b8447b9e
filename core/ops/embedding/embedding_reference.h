// SPDX-License-Identifier: Apache-2.0
// Embedding by its definition.
#pragma once

#include "core/tensor.h"

namespace clausius::ops {

template <class T>
void embedding_forward_reference(const Tensor& tokens, const Tensor& table, Tensor& y) {
  const std::int64_t width = table.size(1);
  for (std::int64_t n = 0; n < tokens.size(0); ++n) {
    const std::int64_t token = tokens.data<std::int32_t>()[n];
    for (std::int64_t i = 0; i < width; ++i) {
      y.data<T>()[n * width + i] = table.data<T>()[token * width + i];
    }
  }
}

template <class T>
void embedding_backward_reference(const Tensor& dy, const Tensor& tokens, Tensor& dtable) {
  const std::int64_t width = dtable.size(1);
  for (std::int64_t n = 0; n < tokens.size(0); ++n) {
    const std::int64_t token = tokens.data<std::int32_t>()[n];
    for (std::int64_t i = 0; i < width; ++i) {
      dtable.data<T>()[token * width + i] += dy.data<T>()[n * width + i];
    }
  }
}

}  // namespace clausius::ops
