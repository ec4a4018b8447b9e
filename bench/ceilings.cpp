// SPDX-License-Identifier: Apache-2.0
// Measures what this machine can do at most.
#include "bench/ceilings.h"

#include <cstring>
#include <functional>

#include <libxsmm.h>

#include "core/ops/matmul/matmul.h"
#include "core/parallel.h"
#include "core/tensor.h"

namespace clausius::bench {
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

constexpr int kBlock = 64;
constexpr int kRepeats = 4000;
constexpr double kBlockFlops = 2.0 * kBlock * kBlock * kBlock;

double libxsmm_f32() {
  const libxsmm_smmfunction kernel = libxsmm_smmdispatch(
      kBlock, kBlock, kBlock, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr);
  if (kernel == nullptr) {
    return 0;
  }
  const Tensor a = Tensor::full({kBlock, kBlock}, 1.0, Dtype::kF32);
  const Tensor b = Tensor::full({kBlock, kBlock}, 0.0, Dtype::kF32);
  Tensor c = Tensor::zeros({kBlock, kBlock}, Dtype::kF32);
  const double seconds = best_seconds(20, [&] {
    for (int i = 0; i < kRepeats; ++i) {
      kernel(a.data<float>(), b.data<float>(), c.data<float>());
    }
  });
  return kRepeats * kBlockFlops / seconds * 1e-9;
}

double libxsmm_bf16() {
  const int flags = LIBXSMM_GEMM_FLAG_VNNI_A;
  const libxsmm_bsmmfunction kernel = libxsmm_bsmmdispatch(
      kBlock, kBlock, kBlock, nullptr, nullptr, nullptr, nullptr, nullptr, &flags, nullptr);
  if (kernel == nullptr) {
    return 0;
  }
  const Tensor a = Tensor::zeros({kBlock, kBlock}, Dtype::kBf16);
  const Tensor b = Tensor::zeros({kBlock, kBlock}, Dtype::kBf16);
  Tensor c = Tensor::zeros({kBlock, kBlock}, Dtype::kF32);
  const double seconds = best_seconds(20, [&] {
    for (int i = 0; i < kRepeats; ++i) {
      kernel(reinterpret_cast<const libxsmm_bfloat16*>(a.raw()),
             reinterpret_cast<const libxsmm_bfloat16*>(b.raw()), c.data<float>());
    }
  });
  return kRepeats * kBlockFlops / seconds * 1e-9;
}

double onednn(Dtype dtype) {
  constexpr std::int64_t kSize = 1536;
  const Tensor a = Tensor::full({kSize, kSize}, 0.5, dtype);
  Tensor out = Tensor::empty({kSize, kSize}, dtype);
  double best = 0;
  for (const Tensor& b : {a, a.transpose(0, 1)}) {
    const double seconds = best_seconds(15, [&] { ops::matmul(a, b, out); });
    best = std::max(best, 2.0 * kSize * kSize * kSize / seconds * 1e-9);
  }
  return best;
}

GemmCeiling measure(Dtype dtype) {
  return {.libxsmm_core = dtype == Dtype::kBf16 ? libxsmm_bf16() : libxsmm_f32(),
          .onednn = onednn(dtype)};
}

}  // namespace

const GemmCeiling& gemm_ceiling(Dtype dtype) {
  static const GemmCeiling f32 = measure(Dtype::kF32);
  if (dtype != Dtype::kBf16) {
    return f32;
  }
  static const GemmCeiling bf16 = measure(Dtype::kBf16);
  return bf16;
}

double copy_bandwidth() {
  static const double bytes_per_second = [] {
    constexpr std::int64_t kElements = 32 << 20;
    const Tensor from = Tensor::full({kElements}, 1.0, Dtype::kF32);
    Tensor to = Tensor::full({kElements}, 0.0, Dtype::kF32);
    const double seconds = best_seconds(7, [&] {
      parallel_for(kElements, 1 << 16, [&](std::int64_t begin, std::int64_t end) {
        std::memcpy(to.data<float>() + begin, from.data<float>() + begin,
                    static_cast<std::size_t>(end - begin) * sizeof(float));
      });
    });
    return 2.0 * static_cast<double>(from.bytes()) / seconds;
  }();
  return bytes_per_second;
}

}  // namespace clausius::bench
