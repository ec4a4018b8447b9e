// SPDX-License-Identifier: Apache-2.0
// matmul on the CUDA device: one product where the batch is one long matrix, else batched products over the axes that merge,
// and a loop over those that do not.
#include "core/cuda/gemm.h"
#include "core/ops/matmul/as_matrix.h"
#include "core/ops/matmul/matmul.h"

namespace clausius::ops {
namespace {

struct Product {
  Tensor a;
  Tensor b;
  Tensor out;

  template <class Fn>
  [[nodiscard]] Product map(const Fn& fn) const {
    return {fn(a), fn(b), fn(out)};
  }
};

bool merges(const Tensor& tensor, int axis) {
  return tensor.stride(axis) == tensor.stride(axis + 1) * tensor.size(axis + 1);
}

Tensor merged(const Tensor& tensor, int axis) {
  Shape shape;
  for (int from = 0; from < tensor.rank(); ++from) {
    const bool first = from == axis;
    shape.push_back(first ? tensor.size(from) * tensor.size(from + 1) : tensor.size(from));
    from += first ? 1 : 0;
  }
  return tensor.reshape(shape);
}

// Leading axes of size 1 dropped, and neighbouring ones made one where all three tensors walk them evenly.
Product with_merged_axes(Product p) {
  int axis = 0;
  while (axis < p.out.rank() - 2) {
    if (p.out.size(axis) == 1) {
      p = p.map([axis](const Tensor& t) { return t.select(axis, 0); });
    } else if (axis + 1 < p.out.rank() - 2 && p.out.size(axis + 1) > 1 && merges(p.a, axis) &&
               merges(p.b, axis) && merges(p.out, axis)) {
      p = p.map([axis](const Tensor& t) { return merged(t, axis); });
    } else {
      ++axis;
    }
  }
  return p;
}

// Loops over the shortest leading axes; the longest is the batch.
void products(Product p, const GemmOptions& options) {
  if (p.out.rank() <= 3) {
    return cuda::gemm(p.a, p.b, p.out, options);
  }
  int shortest = 0;
  for (int axis = 1; axis < p.out.rank() - 2; ++axis) {
    shortest = p.out.size(axis) < p.out.size(shortest) ? axis : shortest;
  }
  for (std::int64_t i = 0; i < p.out.size(shortest); ++i) {
    products(p.map([=](const Tensor& t) { return t.select(shortest, i); }), options);
  }
}

void matmul_cuda(const Tensor& a,
                 const Tensor& b,
                 Tensor& out,
                 double alpha,
                 bool accumulate,
                 const Tensor& factor) {
  const GemmOptions options{
      .alpha = alpha, .accumulate = accumulate, .bias_N = {}, .factor = factor};
  if (is_repeated(b) && rows_merge(a) && rows_merge(out)) {
    Tensor all = as_matrix(out);
    return cuda::gemm(as_matrix(a), first_matrix(b), all, options);
  }
  products(with_merged_axes({a, b, out}), options);
}

CLS_KERNEL(matmul, kCuda, kF32, matmul_cuda);
CLS_KERNEL(matmul, kCuda, kBf16, matmul_cuda);

}  // namespace
}  // namespace clausius::ops
