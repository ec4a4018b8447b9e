// SPDX-License-Identifier: Apache-2.0
// Attention on one core against its matrix-product ceiling, the cost of the entropy, and decoding against memory.
//
// Times are medians of the thread's CPU time: the machine may be shared. Every round measures all variants and the ceiling side by
// side, with and without entropy in alternating order; `entropy_*` are medians of the rounds' ratios.
// FLOPs: forward 4 B H T^2 D, half of it when causal; backward 2.5 times that.
#include "core/ops/attention/attention.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <time.h>
#include <vector>

#include <benchmark/benchmark.h>
#include <libxsmm.h>

#include "core/ops/attention/attention_cpu.h"
#include "core/ops/matmul/matmul.h"
#include "core/parallel.h"
#include "core/random.h"

namespace clausius {
namespace {

double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

template <class Fn>
double seconds_of(const Fn& fn) {
  const double start = thread_seconds();
  fn();
  return thread_seconds() - start;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

Tensor normal(const Shape& shape, std::string_view name, Dtype dtype) {
  Tensor values = Tensor::empty(shape, Dtype::kF32);
  fill_normal(values, {.seed = 1, .stream = stream_of(name)}, 0.0, 1.0);
  return values.to(dtype);
}

// One 64 x 64 x 64 product, operands in cache: what the kernels are made of.
class Product {
 public:
  static constexpr double kFlops = 2.0 * 64 * 64 * 64;
  explicit Product(Dtype dtype)
      : product_f32_(ops::detail::TileProduct<float>::make(64, 64, 64, 64, 64, 64, true, true)),
        product_bf16_(ops::detail::TileProduct<bf16>::make(64, 64, 64, 64, 64, 64, true, true)),
        a_(Tensor::zeros({64, 64}, dtype)),
        b_(Tensor::zeros({64, 64}, dtype)),
        c_(Tensor::zeros({64, 64}, Dtype::kF32)) {}
  double gflops(int repeats) {
    const double seconds = seconds_of([&] {
      for (int i = 0; i < repeats; ++i) {
        if (a_.dtype() == Dtype::kF32) {
          product_f32_.kernel(a_.data<float>(), b_.data<float>(), c_.data<float>());
        } else {
          product_bf16_.kernel(a_.data<bf16>(), b_.data<bf16>(), c_.data<float>());
        }
      }
    });
    return repeats * kFlops / seconds * 1e-9;
  }

 private:
  ops::detail::TileProduct<float> product_f32_;
  ops::detail::TileProduct<bf16> product_bf16_;
  Tensor a_, b_, c_;
};

double onednn_gflops(Dtype dtype) {
  constexpr std::int64_t kSize = 1024;
  const Tensor a = Tensor::full({kSize, kSize}, 0.5, dtype);
  Tensor out = Tensor::empty({kSize, kSize}, dtype);
  double best = 0;
  for (int run = 0; run < 5; ++run) {
    const double seconds = seconds_of([&] { ops::matmul(a, a, out); });
    best = std::max(best, 2.0 * kSize * kSize * kSize / seconds * 1e-9);
  }
  return best;
}

// The forward kernel with and without entropy, through the op's own table.
template <bool kEntropy, class... Arguments>
void forward_with(Arguments... arguments) {
  ops::detail::attention_forward_cpu({.entropy = kEntropy}, arguments...);
}
void set_entropy(bool on, Dtype dtype) {
  if (on) {
    ops::attention_forward_kernels().add(DeviceKind::kCpu, dtype, forward_with<true>);
  } else {
    ops::attention_forward_kernels().add(DeviceKind::kCpu, dtype, forward_with<false>);
  }
}

struct Problem {
  std::int64_t B, H, G, T, D;
  bool causal;
  Dtype dtype;

  [[nodiscard]] std::string name() const {
    return concat("attention/", dtype, "/T", T, "_D", D, "_B", B, "_H", H, "_G", G,
                  causal ? "/causal" : "/full");
  }
  [[nodiscard]] double forward_flops() const {
    return 4.0 * static_cast<double>(B * H * T * T * D) * (causal ? 0.5 : 1.0);
  }
};

// q, k and v are views of one fused projection, and so are their gradients.
class Run {
 public:
  explicit Run(const Problem& problem) : problem_(problem) {
    const auto [B, H, G, T, D, causal, dtype] = problem;
    qkv_ = normal({B, T, H + 2 * G, D}, "qkv", dtype);
    dqkv_ = Tensor::empty(qkv_.shape(), dtype);
    dy_ = normal({B, T, H, D}, "dy", dtype);
    dentropy_ = normal({B, H, T}, "dentropy", Dtype::kF32);
    options_.mask.causal = causal;
  }
  double forward(bool entropy) {
    set_entropy(entropy, problem_.dtype);
    return seconds_of(
        [&] { result_ = ops::attention(q(qkv_), k(qkv_), v(qkv_), {}, {}, options_); });
  }
  double backward(bool entropy) {
    return seconds_of([&] {
      benchmark::DoNotOptimize(ops::attention_backward(
          dy_, entropy ? dentropy_ : Tensor(), {}, q(qkv_), k(qkv_), v(qkv_), {}, {}, result_,
          options_, {q(dqkv_), k(dqkv_), v(dqkv_), {}, {}}));
    });
  }

 private:
  [[nodiscard]] Tensor heads(const Tensor& fused, std::int64_t first, std::int64_t count) const {
    return fused.slice(2, first, first + count).transpose(1, 2);
  }
  [[nodiscard]] Tensor q(const Tensor& fused) const { return heads(fused, 0, problem_.H); }
  [[nodiscard]] Tensor k(const Tensor& fused) const { return heads(fused, problem_.H, problem_.G); }
  [[nodiscard]] Tensor v(const Tensor& fused) const {
    return heads(fused, problem_.H + problem_.G, problem_.G);
  }

  Problem problem_;
  Tensor qkv_, dqkv_, dy_, dentropy_;
  ops::AttentionOptions options_;
  ops::AttentionResult result_;
};

void run_attention(benchmark::State& state, const Problem& problem) {
  const int threads = num_threads();
  set_num_threads(1);
  Run run(problem);
  Product product(problem.dtype);
  const double onednn = onednn_gflops(problem.dtype);
  std::vector<double> forward, both, forward_cost, both_cost, xsmm;
  bool entropy_first = false;
  for (auto _ : state) {
    double forward_seconds[2];
    double backward_seconds[2];
    entropy_first = !entropy_first;
    for (const bool entropy : {entropy_first, !entropy_first}) {
      forward_seconds[entropy] = run.forward(entropy);
    }
    for (const bool entropy : {entropy_first, !entropy_first}) {
      backward_seconds[entropy] = run.backward(entropy);
    }
    xsmm.push_back(product.gflops(400));
    forward.push_back(forward_seconds[1]);
    both.push_back(forward_seconds[1] + backward_seconds[1]);
    forward_cost.push_back(forward_seconds[1] / forward_seconds[0]);
    both_cost.push_back(both.back() / (forward_seconds[0] + backward_seconds[0]));
  }
  set_entropy(true, problem.dtype);
  set_num_threads(threads);
  const double peak = std::max(median(xsmm), onednn);
  const double forward_gflops = problem.forward_flops() / median(forward) * 1e-9;
  const double both_gflops = 3.5 * problem.forward_flops() / median(both) * 1e-9;
  state.counters["xsmm"] = median(xsmm);
  state.counters["onednn"] = onednn;
  state.counters["fwd"] = forward_gflops;
  state.counters["fwd_of_peak"] = forward_gflops / peak;
  state.counters["fwd_bwd"] = both_gflops;
  state.counters["fwd_bwd_of_peak"] = both_gflops / peak;
  state.counters["entropy_fwd"] = median(forward_cost);
  state.counters["entropy_fwd_bwd"] = median(both_cost);
}

// One new token for each of B sequences of S keys, against a copy by the same core (bytes read plus written).
void run_decode(benchmark::State& state,
                std::int64_t B,
                std::int64_t H,
                std::int64_t G,
                std::int64_t S,
                std::int64_t D,
                Dtype dtype) {
  const int threads = num_threads();
  set_num_threads(1);
  const Tensor q = normal({B, H, 1, D}, "q", dtype);
  const Tensor cache = normal({2, B, S, G, D}, "cache", dtype);
  Tensor copy = Tensor::zeros(cache.shape(), dtype);
  ops::AttentionOptions options;
  options.mask.query_offset = S - 1;
  std::vector<double> decode, copying;
  for (auto _ : state) {
    decode.push_back(seconds_of([&] {
      benchmark::DoNotOptimize(ops::attention(q, cache.select(0, 0).transpose(1, 2),
                                              cache.select(0, 1).transpose(1, 2), {}, {}, options));
    }));
    copying.push_back(seconds_of([&] { copy.copy_from(cache); }));
  }
  set_num_threads(threads);
  const auto bytes = static_cast<double>(cache.bytes());
  state.counters["gbs"] = bytes / median(decode) * 1e-9;
  state.counters["copy_gbs"] = 2 * bytes / median(copying) * 1e-9;
}

const bool registered = [] {
  const auto f32 = Dtype::kF32;
  const auto bf = Dtype::kBf16;
  for (const Problem& problem :
       {Problem{2, 12, 12, 1024, 64, true, f32}, Problem{2, 12, 12, 1024, 64, false, f32},
        Problem{1, 4, 4, 4096, 64, true, f32}, Problem{1, 8, 8, 1024, 128, true, f32},
        Problem{1, 12, 3, 1024, 64, true, f32}, Problem{8, 12, 12, 256, 64, true, f32},
        Problem{2, 12, 12, 1024, 64, true, bf}, Problem{1, 4, 4, 4096, 64, true, bf},
        Problem{1, 8, 8, 1024, 128, true, bf}, Problem{1, 12, 3, 1024, 64, true, bf}}) {
    benchmark::RegisterBenchmark(problem.name().c_str(),
                                 [=](benchmark::State& state) { run_attention(state, problem); })
        ->MinTime(2.0)
        ->Unit(benchmark::kMillisecond);
  }
  for (const Dtype dtype : {f32, bf}) {
    for (const std::int64_t G : {12, 3}) {
      benchmark::RegisterBenchmark(
          concat("attention_decode/", dtype, "/S4096_D64_B4_H12_G", G).c_str(),
          [=](benchmark::State& state) { run_decode(state, 4, 12, G, 4096, 64, dtype); })
          ->MinTime(0.5)
          ->Unit(benchmark::kMillisecond);
    }
  }
  return true;
}();

}  // namespace
}  // namespace clausius
