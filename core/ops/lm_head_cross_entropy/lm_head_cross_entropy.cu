// SPDX-License-Identifier: Apache-2.0
// lm_head_cross_entropy on the CUDA device: chunks of tokens; products by cuBLASLt, the softmax over logits still in the cache
// where they fit. Every token goes through the products, so that nothing of the targets is needed on the host: a token that is
// ignored gets zeros for its gradient before them.
#include <limits>
#include <memory>
#include <type_traits>

#include "core/cuda/gemm.h"
#include "core/cuda/launch.cuh"
#include "core/cuda/vec.cuh"
#include "core/cuda/warp.cuh"
#include "core/ops/lm_head_cross_entropy/lm_head_cross_entropy.h"

namespace clausius::ops {
namespace {

using cuda::Floats;
using Four = cuda::Part<float, 4>;

constexpr int kMostThreads = 1024;
// Vectors of four logits that a thread has in flight: while it reads, and while it overwrites.
constexpr int kRead = 4;
constexpr int kWrite = 2;

struct HeadRows {
  std::int64_t first = 0;  // token of the first row
  std::int64_t vocabulary = 0;
  std::int64_t row_step = 0;  // a multiple of 64 floats
  float* logits = nullptr;
  const std::int32_t* targets = nullptr;
  const float* weights = nullptr;    // all 1 when null
  const double* z_weight = nullptr;  // 0 when null
  float* losses = nullptr;
  float* lses = nullptr;
};

// Logits 4 at .. 4 at + 3; -infinity behind the last. The memory of a row ends after whole vectors.
__device__ Floats<4> load_four(const HeadRows& h, const float* row, std::int64_t at) {
  Floats<4> x;
  if (4 * at < h.vocabulary) {
    x = Four::load(row + 4 * at);
  }
  for (int i = 0; i < 4; ++i) {
    x.value[i] = 4 * at + i < h.vocabulary ? x.value[i] : -std::numeric_limits<float>::infinity();
  }
  return x;
}

__device__ void store_four(float* to, const Floats<4>& x) {
  Four::store(to, x);
}

__device__ void store_four(bf16* to, const Floats<4>& x) {
  bf16 element[4];
  for (int i = 0; i < 4; ++i) {
    element[i] = bf16(x.value[i]);
  }
  uint2 raw;
  memcpy(&raw, element, sizeof raw);
  *reinterpret_cast<uint2*>(to) = raw;
}

// What exp subtracts: the maximum, or 0 where all are -infinity.
__device__ float shift_of(float max) {
  return max == -std::numeric_limits<float>::infinity() ? 0.0F : max;
}

struct SoftmaxSum {
  float max;
  double sum;  // of exp(logit - max)
};

// One reading of the row; the same in every thread. Partial sums are f32 over a thread's logits, f64 over threads.
__device__ SoftmaxSum softmax_sum(const HeadRows& h, const float* row) {
  const std::int64_t vectors = (h.vocabulary + 3) / 4;
  float max = -std::numeric_limits<float>::infinity();
  float sum = 0;
  for (std::int64_t begin = threadIdx.x; begin < vectors; begin += kRead * blockDim.x) {
    Floats<4> x[kRead];
    float higher = max;
    for (int k = 0; k < kRead; ++k) {
      x[k] = load_four(h, row, begin + k * static_cast<std::int64_t>(blockDim.x));
    }
    for (int k = 0; k < kRead; ++k) {
      for (int i = 0; i < 4; ++i) {
        higher = fmaxf(higher, x[k].value[i]);  // a NaN reaches the sum instead
      }
    }
    const float shift = shift_of(higher);
    sum *= expf(max - shift);
    for (int k = 0; k < kRead; ++k) {
      for (int i = 0; i < 4; ++i) {
        sum += expf(x[k].value[i] - shift);
      }
    }
    max = higher;
  }
  const float all_max = cuda::block_reduce<cuda::Max>(max, -std::numeric_limits<float>::infinity());
  sum *= expf(max - shift_of(all_max));
  return {all_max, cuda::block_reduce<cuda::Add>(static_cast<double>(sum), 0.0)};
}

// The row overwritten by factor (slope exp(logit - max) - sum one_hot(target)), or by zeros. bf16 fills the front half of the f32 row:
// a tile is in registers, of all threads, before anything is written, and what a tile's gradient overwrites has been read by then.
template <class Gradient>
__device__ void write_gradient(const HeadRows& h,
                               float* row,
                               std::int32_t target,
                               SoftmaxSum softmax,
                               float slope,
                               float factor) {
  const std::int64_t vectors = (h.vocabulary + 3) / 4;
  const auto threads = static_cast<std::int64_t>(blockDim.x);
  const float shift = shift_of(softmax.max);
  const auto sum = static_cast<float>(softmax.sum);
  Floats<4> x[kWrite];
  for (int k = 0; k < kWrite; ++k) {
    x[k] = load_four(h, row, threadIdx.x + k * threads);
  }
  for (std::int64_t tile = 0; tile < vectors; tile += kWrite * threads) {
    __syncthreads();
    Floats<4> next[kWrite];
    for (int k = 0; k < kWrite; ++k) {
      next[k] = load_four(h, row, tile + threadIdx.x + (kWrite + k) * threads);
    }
    for (int k = 0; k < kWrite; ++k) {
      const std::int64_t at = tile + threadIdx.x + k * threads;
      for (int i = 0; i < 4; ++i) {
        const float e = slope * expf(x[k].value[i] - shift);
        // Before the factor: the difference is not rounded to bf16 twice.
        x[k].value[i] = factor * (4 * at + i == target ? e - sum : e);
      }
      if (at < vectors) {
        store_four(reinterpret_cast<Gradient*>(row) + 4 * at, x[k]);
      }
      x[k] = next[k];
    }
  }
}

template <class Gradient>
__device__ void write_zeros(const HeadRows& h, float* row) {
  const std::int64_t vectors = (h.vocabulary + 3) / 4;
  for (std::int64_t at = threadIdx.x; at < vectors; at += blockDim.x) {
    store_four(reinterpret_cast<Gradient*>(row) + 4 * at, Floats<4>{});
  }
}

// A block a row. Up to 1024 threads: one block a multiprocessor then has one row each in the cache (132 rows of 50k logits are
// 26 MB of an H100's 50), where the second reading finds it. A target outside the vocabulary gives NaN.
template <class Gradient>
__global__ void __launch_bounds__(kMostThreads) softmax_rows_kernel(HeadRows h) {
  const std::int64_t n = h.first + blockIdx.x;
  float* row = h.logits + std::int64_t{blockIdx.x} * h.row_step;
  const std::int32_t target = h.targets[n];
  if (target == kIgnoredTarget) {
    if constexpr (!std::is_void_v<Gradient>) {
      write_zeros<Gradient>(h, row);
    }
    if (threadIdx.x == 0) {
      h.losses[n] = 0;
      h.lses[n] = 0;
    }
    return;
  }
  const bool known = target >= 0 && target < h.vocabulary;
  const double target_logit = known ? row[target] : std::numeric_limits<float>::quiet_NaN();
  const SoftmaxSum softmax = softmax_sum(h, row);
  const double log_sum = log(softmax.sum);
  if (threadIdx.x == 0) {
    h.losses[n] = static_cast<float>((softmax.max - target_logit) + log_sum);
    h.lses[n] = static_cast<float>(softmax.max + log_sum);
  }
  if constexpr (!std::is_void_v<Gradient>) {
    const double weight = h.weights != nullptr ? h.weights[n] : 1.0F;
    const double factor = weight / softmax.sum + (known ? 0.0 : target_logit);
    const double slope =
        1.0 + (h.z_weight != nullptr ? 2.0 * *h.z_weight * (softmax.max + log_sum) : 0.0);
    write_gradient<Gradient>(h, row, target, softmax, static_cast<float>(slope),
                             static_cast<float>(factor));
  }
}

// One block: f64 sums of every 1024th token, then over threads; the largest lse likewise.
__global__ void __launch_bounds__(kMostThreads)
    loss_sum_kernel(std::int64_t tokens, HeadRows h, double* total, double* lse_sums) {
  double sum = 0;
  double squares = 0;
  double lse_sum = 0;
  double largest = -std::numeric_limits<double>::infinity();
  for (std::int64_t n = threadIdx.x; n < tokens; n += blockDim.x) {
    if (h.targets[n] == kIgnoredTarget) {
      continue;
    }
    const double weight = h.weights != nullptr ? h.weights[n] : 1.0F;
    const auto lse = static_cast<double>(h.lses[n]);
    sum += weight * static_cast<double>(h.losses[n]);
    squares += weight * lse * lse;
    lse_sum += lse;
    largest = cuda::Max()(largest, lse);
  }
  sum = cuda::block_reduce<cuda::Add>(sum, 0.0);
  squares = cuda::block_reduce<cuda::Add>(squares, 0.0);
  lse_sum = cuda::block_reduce<cuda::Add>(lse_sum, 0.0);
  largest = cuda::block_reduce<cuda::Max>(largest, -std::numeric_limits<double>::infinity());
  if (threadIdx.x == 0) {
    *total = sum;
    lse_sums[0] = squares;
    lse_sums[1] = lse_sum;
    lse_sums[2] = largest;
  }
}

unsigned threads_for(std::int64_t elements_a_thread, std::int64_t elements) {
  const std::int64_t wanted = div_ceil(elements, elements_a_thread);
  return narrow<unsigned>(
      std::min<std::int64_t>(kMostThreads, round_up<std::int64_t>(wanted, cuda::kWarp)));
}

// Logits of consecutive tokens at a time, and the gradients made from them. dx and dweight may be undefined.
class ChunkedHead {
 public:
  ChunkedHead(const Tensor& x_NM, const Tensor& weight_VM, const LmHeadOptions& options)
      : x_NM_(x_NM),
        weight_VM_(weight_VM),
        alpha_(options.alpha),
        chunk_(lm_head_device_chunk(x_NM.size(0), weight_VM.size(0), options.chunk_bytes)),
        logits_(
            std::make_shared<Storage>(static_cast<std::size_t>(chunk_.bytes()), x_NM.device())) {}

  void run(HeadRows rows, Tensor& dx_NM, Tensor& dweight_VM) {
    const std::int64_t tokens = x_NM_.size(0);
    rows.vocabulary = weight_VM_.size(0);
    rows.row_step = chunk_.row_step;
    for (std::int64_t begin = 0; begin < tokens; begin += chunk_.rows) {
      const std::int64_t end = std::min(tokens, begin + chunk_.rows);
      const Tensor x = x_NM_.slice(0, begin, end);
      Tensor logits = matrix(end - begin, Dtype::kF32);
      const GemmOptions scaled{.alpha = 1.0, .accumulate = false, .bias_N = {}, .factor = alpha_};
      cuda::gemm(x, weight_VM_.transpose(0, 1), logits, scaled);
      rows.first = begin;
      rows.logits = logits.data<float>();
      softmax(rows, end - begin, dx_NM || dweight_VM);
      const Tensor dlogits = matrix(end - begin, x.dtype());
      if (dx_NM) {
        Tensor dx = dx_NM.slice(0, begin, end);
        cuda::gemm(dlogits, weight_VM_, dx, scaled);
      }
      if (dweight_VM) {
        cuda::gemm(dlogits.transpose(0, 1), x, dweight_VM,
                   {.alpha = 1.0, .accumulate = begin > 0, .bias_N = {}, .factor = {}});
      }
    }
  }

 private:
  // The chunk's memory as logits or as their gradients: a bf16 row fills the front half of its f32 row.
  [[nodiscard]] Tensor matrix(std::int64_t rows, Dtype dtype) const {
    const std::int64_t step = dtype == Dtype::kBf16 ? 2 * chunk_.row_step : chunk_.row_step;
    return Tensor::over(logits_, 0, {rows, step}, dtype).slice(1, 0, weight_VM_.size(0));
  }

  void softmax(const HeadRows& rows, std::int64_t count, bool gradient) const {
    const auto kernel = !gradient                       ? softmax_rows_kernel<void>
                        : x_NM_.dtype() == Dtype::kBf16 ? softmax_rows_kernel<bf16>
                                                        : softmax_rows_kernel<float>;
    cuda::launch(kernel,
                 {.grid = dim3(narrow<unsigned>(count)),
                  .block = dim3(threads_for(4 * kRead, rows.vocabulary))},
                 rows);
  }

  Tensor x_NM_;
  Tensor weight_VM_;
  Tensor alpha_;
  LmHeadChunk chunk_;
  std::shared_ptr<Storage> logits_;
};

void lm_head_cross_entropy_cuda(const Tensor& x_NM,
                                const Tensor& weight_VM,
                                const Tensor& targets_N,
                                const Tensor& token_weights_N,
                                Tensor& loss_sum,
                                Tensor& token_loss_N,
                                Tensor& lse_N,
                                Tensor& lse_sums,
                                Tensor& dx_NM,
                                Tensor& dweight_VM,
                                const LmHeadOptions& options) {
  HeadRows rows;
  rows.targets = targets_N.data<std::int32_t>();
  rows.weights = token_weights_N ? token_weights_N.data<float>() : nullptr;
  rows.z_weight = options.z_weight ? options.z_weight.data<double>() : nullptr;
  rows.losses = token_loss_N.data<float>();
  rows.lses = lse_N.data<float>();
  ChunkedHead head(x_NM.last_is_dense() ? x_NM : x_NM.contiguous(), weight_VM, options);
  head.run(rows, dx_NM, dweight_VM);
  const std::int64_t tokens = x_NM.size(0);
  cuda::launch(loss_sum_kernel, {.grid = dim3(1), .block = dim3(threads_for(1, tokens))}, tokens,
               rows, loss_sum.data<double>(), lse_sums.data<double>());
}

CLS_KERNEL(lm_head_cross_entropy, kCuda, kF32, lm_head_cross_entropy_cuda);
CLS_KERNEL(lm_head_cross_entropy, kCuda, kBf16, lm_head_cross_entropy_cuda);

template <class Unit, class T>
__global__ void lm_head_backward_kernel(
    std::int64_t n, bool aligned, bool accumulate, const float* dy, const Unit* unit, T* gradient) {
  const float factor = *dy;
  const auto scaled = [=](float u) { return factor * u; };
  const auto added = [=](float u, float g) { return factor * u + g; };
  const auto body = [=](auto part, std::int64_t i) {
    const auto u = cuda::Part<Unit, decltype(part)::kWidth>::load(unit + i);
    part.store(gradient + i,
               accumulate ? part.map(added, u, part.load(gradient + i)) : part.map(scaled, u));
  };
  if constexpr (std::is_same_v<Unit, T>) {
    cuda::for_each_vector<T>(n, aligned, body);
  } else {
    for (std::int64_t i = cuda::global_index(); i < n; i += cuda::global_threads()) {
      body(cuda::Part<T, 1>{}, i);
    }
  }
}

template <class T>
void lm_head_backward_cuda(const Tensor& dy,
                           const Tensor& unit,
                           Tensor& gradient,
                           bool accumulate) {
  const std::int64_t n = unit.numel();
  const auto launch = [&](auto unit_type) {
    using Unit = decltype(unit_type);
    cuda::launch(lm_head_backward_kernel<Unit, T>, cuda::vector_grid<T>(n), n,
                 cuda::aligned_for_vectors(unit.raw(), gradient.raw()), accumulate,
                 dy.data<float>(), unit.data<Unit>(), gradient.data<T>());
  };
  unit.dtype() == Dtype::kBf16 ? launch(bf16{}) : launch(float{});
}

CLS_KERNEL(lm_head_cross_entropy_backward, kCuda, kF32, lm_head_backward_cuda<float>);
CLS_KERNEL(lm_head_cross_entropy_backward, kCuda, kBf16, lm_head_backward_cuda<bf16>);

}  // namespace
}  // namespace clausius::ops
