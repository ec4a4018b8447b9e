// SPDX-License-Identifier: Apache-2.0
// One matrix product on the CPU: layouts, oneDNN, and what happens without it.
#include "core/ops/matmul/gemm.h"

#include <algorithm>

#include <Eigen/Core>

#include "core/dry_run.h"
#include "core/ops/matmul/matrix_layout.h"
#include "core/ops/matmul/onednn_gemm.h"
#include "core/parallel.h"

namespace clausius::ops {
namespace {

using detail::GemmProblem;
using detail::layout_of;
using detail::MatrixLayout;

Tensor usable(const Tensor& matrix) {
  return layout_of(matrix).step > 0 ? matrix : matrix.clone();
}

double alpha_of(const GemmOptions& options) {
  const bool read = options.factor.defined() && !in_dry_run();
  return read ? options.alpha * static_cast<double>(*options.factor.data<float>()) : options.alpha;
}

using EigenMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using EigenStride = Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>;

auto eigen_map(const Tensor& matrix) {
  return Eigen::Map<EigenMatrix, Eigen::Unaligned, EigenStride>(
      const_cast<float*>(matrix.data<float>()), matrix.size(0), matrix.size(1),
      EigenStride(matrix.stride(0), matrix.stride(1)));
}

void eigen_gemm(const Tensor& a, const Tensor& b, Tensor& out, const GemmOptions& options) {
  constexpr std::int64_t kRows = 64;
  const auto alpha = static_cast<float>(alpha_of(options));
  parallel_for(out.size(0), kRows, [&](std::int64_t begin, std::int64_t end) {
    auto rows = eigen_map(out.slice(0, begin, end));
    const auto left = eigen_map(a.slice(0, begin, end));
    if (options.accumulate) {
      rows.noalias() += alpha * left * eigen_map(b);
    } else {
      rows.noalias() = alpha * left * eigen_map(b);
    }
    if (options.bias_N) {
      rows.rowwise() += eigen_map(options.bias_N.reshape({1, out.size(1)})).row(0);
    }
  });
}

bool try_onednn(const Tensor& a, const Tensor& b, Tensor& out, const GemmOptions& options) {
  const GemmProblem problem{.m = out.size(0),
                            .n = out.size(1),
                            .k = a.size(1),
                            .a = layout_of(a),
                            .b = layout_of(b),
                            .out = layout_of(out),
                            .in_dtype = a.dtype(),
                            .out_dtype = out.dtype(),
                            .scaled = options.alpha != 1.0 || options.factor.defined(),
                            .accumulate = options.accumulate,
                            .bias = options.bias_N.defined(),
                            .threads = in_parallel_region() ? 1 : num_threads()};
  const float* bias = problem.bias ? options.bias_N.data<float>() : nullptr;
  return onednn_gemm(problem, {a.raw(), b.raw(), out.raw(), bias},
                     static_cast<float>(alpha_of(options)));
}

}  // namespace

void gemm(const Tensor& a, const Tensor& b, Tensor& out, const GemmOptions& options) {
  CLS_ASSERT(a.size(1) == b.size(0) && a.size(0) == out.size(0) && b.size(1) == out.size(1));
  CLS_ASSERT(out.numel() > 0 && a.size(1) > 0 && a.dtype() == b.dtype());
  const MatrixLayout out_layout = layout_of(out);
  if (out_layout.step == 0) {
    Tensor dense = options.accumulate ? out.clone() : Tensor::empty(out.shape(), out.dtype());
    gemm(a, b, dense, options);
    return out.copy_from(dense);
  }
  if (out_layout.transposed && !options.bias_N) {
    Tensor flipped = out.transpose(0, 1);
    return gemm(b.transpose(0, 1), a.transpose(0, 1), flipped, options);
  }
  const Tensor left = usable(a);
  const Tensor right = usable(b);
  if (!try_onednn(left, right, out, options)) {
    portable_gemm(left, right, out, options);
  }
}

void portable_gemm(const Tensor& a, const Tensor& b, Tensor& out, const GemmOptions& options) {
  if (a.dtype() == Dtype::kF32) {
    return eigen_gemm(a, b, out, options);
  }
  Tensor wide = out.dtype() == Dtype::kF32 ? out
                : options.accumulate       ? out.to(Dtype::kF32)
                                           : Tensor::empty(out.shape(), Dtype::kF32);
  gemm(a.to(Dtype::kF32), b.to(Dtype::kF32), wide, options);
  if (out.dtype() != Dtype::kF32) {
    out.copy_from(wide);
  }
}

}  // namespace clausius::ops
