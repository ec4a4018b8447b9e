// SPDX-License-Identifier: Apache-2.0
// Measuring oneDNN and libxsmm at their best.
#include "core/ops/matmul/gemm_ceiling.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <limits>

#include "core/ops/matmul/matmul.h"
#include "core/parallel.h"
#include "core/tensor.h"

#if defined(__x86_64__)
#include <libxsmm.h>
#endif

namespace clausius::ops {
namespace {

double best_seconds(int runs, const std::function<void()>& fn) {
  double best = std::numeric_limits<double>::infinity();
  for (int run = 0; run < runs; ++run) {
    const auto start = std::chrono::steady_clock::now();
    fn();
    best = std::min(
        best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

double onednn_flops(Dtype dtype, int runs) {
  constexpr std::int64_t kSize = 1024;
  const Tensor a = Tensor::full({kSize, kSize}, 0.5, dtype);
  Tensor out = Tensor::empty({kSize, kSize}, dtype);
  double best = std::numeric_limits<double>::infinity();
  for (const Tensor& b : {a, a.transpose(0, 1)}) {
    best = std::min(best, best_seconds(runs, [&] { matmul(a, b, out); }));
  }
  return 2.0 * kSize * kSize * kSize / best;
}

#if defined(__x86_64__)

constexpr int kBlock = 64;
constexpr int kProducts = 2000;
constexpr double kFlops = 2.0 * kBlock * kBlock * kBlock * kProducts;

// product(a, b, c) multiplies blocks of `dtype` into f32.
template <class Product>
double libxsmm_flops(Dtype dtype, int threads, int runs, const Product& product) {
  const auto blocks = [&](Dtype type) {
    return Tensor::full({threads, kBlock, kBlock}, 0.0, type);
  };
  const Tensor a = blocks(dtype);
  const Tensor b = blocks(dtype);
  const Tensor c = blocks(Dtype::kF32);
  const double seconds = best_seconds(runs, [&] {
    parallel_for(threads, 1, [&](std::int64_t thread, std::int64_t /*end*/) {
      const std::byte* left = a.select(0, thread).raw();
      const std::byte* right = b.select(0, thread).raw();
      auto* out = reinterpret_cast<float*>(c.select(0, thread).raw());
      for (int i = 0; i < kProducts; ++i) {
        product(left, right, out);
      }
    });
  });
  return threads * kFlops / seconds;
}

double libxsmm_flops(Dtype dtype, int threads, int runs) {
  if (dtype == Dtype::kF32) {
    const libxsmm_smmfunction kernel = libxsmm_smmdispatch(
        kBlock, kBlock, kBlock, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr);
    return kernel == nullptr
               ? 0.0
               : libxsmm_flops(dtype, threads, runs, [&](const auto* a, const auto* b, float* c) {
                   kernel(reinterpret_cast<const float*>(a), reinterpret_cast<const float*>(b), c);
                 });
  }
  const int flags = LIBXSMM_GEMM_FLAG_VNNI_A;
  const libxsmm_bsmmfunction kernel = libxsmm_bsmmdispatch(
      kBlock, kBlock, kBlock, nullptr, nullptr, nullptr, nullptr, nullptr, &flags, nullptr);
  return kernel == nullptr
             ? 0.0
             : libxsmm_flops(dtype, threads, runs, [&](const auto* a, const auto* b, float* c) {
                 kernel(reinterpret_cast<const libxsmm_bfloat16*>(a),
                        reinterpret_cast<const libxsmm_bfloat16*>(b), c);
               });
}

#else

double libxsmm_flops(Dtype /*dtype*/, int /*threads*/, int /*runs*/) {
  return 0;
}

#endif

}  // namespace

GemmCeiling measure_gemm_ceiling(Dtype dtype, int runs) {
  return {.onednn = onednn_flops(dtype, runs),
          .libxsmm = libxsmm_flops(dtype, num_threads(), runs),
          .libxsmm_core = libxsmm_flops(dtype, 1, runs)};
}

}  // namespace clausius::ops
