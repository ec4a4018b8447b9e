// SPDX-License-Identifier: Apache-2.0
// Stands in for cuBLASLt where the device is emulated: plain loops, f32 sums of tiles as a library has them.
#include <algorithm>

#include "core/cuda/gemm_problem.h"

namespace clausius::cuda {
namespace {

constexpr std::int64_t kTile = 64;

template <class T>
struct Matrix {
  T* data = nullptr;
  ops::detail::MatrixLayout layout;
  T& operator()(std::int64_t row, std::int64_t column) const {
    return layout.transposed ? data[column * layout.step + row] : data[row * layout.step + column];
  }
};

template <class In, class Out>
void multiply(const GemmProblem& problem, const GemmPointers& pointers, float alpha, float beta) {
  alpha = problem.device_scale ? *pointers.alpha : alpha;
  for (std::int64_t i = 0; i < problem.batch; ++i) {
    const Matrix<const In> a{static_cast<const In*>(pointers.a) + i * problem.a_stride, problem.a};
    const Matrix<const In> b{static_cast<const In*>(pointers.b) + i * problem.b_stride, problem.b};
    const Matrix<Out> out{static_cast<Out*>(pointers.out) + i * problem.out_stride,
                          {problem.out_step, false}};
    const Matrix<const Out> c{static_cast<const Out*>(pointers.c) + i * problem.c_stride,
                              {problem.c_step, false}};
    for (std::int64_t row = 0; row < problem.m; ++row) {
      for (std::int64_t column = 0; column < problem.n; ++column) {
        float sum = 0;
        for (std::int64_t begin = 0; begin < problem.k; begin += kTile) {
          float part = 0;
          for (std::int64_t k = begin; k < std::min(problem.k, begin + kTile); ++k) {
            part += static_cast<float>(a(row, k)) * static_cast<float>(b(k, column));
          }
          sum += part;
        }
        sum *= alpha;
        if (problem.bias) {
          sum += static_cast<float>(static_cast<const Out*>(pointers.bias)[column]);
        }
        if (beta != 0) {  // else c may hold anything
          sum += beta * static_cast<float>(c(row, column));
        }
        out(row, column) = Out(sum);
      }
    }
  }
}

}  // namespace

bool run_gemm(const GemmProblem& problem,
              const GemmPointers& data,
              float alpha,
              float beta,
              Device /*device*/) {
  if (problem.in_dtype == Dtype::kF32) {
    multiply<float, float>(problem, data, alpha, beta);
  } else if (problem.out_dtype == Dtype::kF32) {
    multiply<bf16, float>(problem, data, alpha, beta);
  } else {
    multiply<bf16, bf16>(problem, data, alpha, beta);
  }
  return true;
}

}  // namespace clausius::cuda
