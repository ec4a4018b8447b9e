// SPDX-License-Identifier: Apache-2.0
// matmul on the CPU: batches become one product, or a loop of products.
#include <algorithm>

#include "core/ops/matmul/as_matrix.h"
#include "core/ops/matmul/gemm.h"
#include "core/ops/matmul/matmul.h"
#include "core/parallel.h"

namespace clausius::ops {
namespace {

// Matrices below this many multiply-adds are shared out whole; larger ones are split by the product
// itself.
constexpr std::int64_t kLargeMatrix = 1 << 21;
constexpr std::int64_t kGrainMultiplyAdds = 1 << 17;

Tensor matrix_at(Tensor tensor, std::int64_t index) {
  while (tensor.rank() > 2) {
    std::int64_t inner = 1;
    for (int axis = 1; axis < tensor.rank() - 2; ++axis) {
      inner *= tensor.size(axis);
    }
    tensor = tensor.select(0, index / inner);
    index %= inner;
  }
  return tensor;
}

void matmul_cpu(const Tensor& a,
                const Tensor& b,
                Tensor& out,
                double alpha,
                bool accumulate,
                const Tensor& factor) {
  const GemmOptions options{.alpha = alpha, .accumulate = accumulate, .factor = factor};
  const std::int64_t inner = a.size(-1);
  const std::int64_t matrix = out.size(-2) * out.size(-1);
  const std::int64_t count = out.numel() / matrix;
  if (is_repeated(b) && rows_merge(a) && rows_merge(out)) {
    Tensor all = as_matrix(out);
    return gemm(as_matrix(a), first_matrix(b), all, options);
  }
  const auto products = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      Tensor part = matrix_at(out, i);
      gemm(matrix_at(a, i), matrix_at(b, i), part, options);
    }
  };
  if (matrix * inner >= kLargeMatrix) {
    return products(0, count);
  }
  parallel_for(count, std::max<std::int64_t>(1, kGrainMultiplyAdds / (matrix * inner)), products);
}

CLS_KERNEL(matmul, kCpu, kF32, matmul_cpu);
CLS_KERNEL(matmul, kCpu, kBf16, matmul_cpu);

}  // namespace
}  // namespace clausius::ops
