// SPDX-License-Identifier: Apache-2.0
// Shapes of GPT-2 small on one row of 1024 tokens.
#include "train/benchmarks/micro.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "core/ops/adamw/adamw.h"
#include "core/ops/attention/attention.h"
#include "core/ops/layer_norm/layer_norm.h"
#include "core/ops/linear/linear.h"
#include "core/ops/lm_head_cross_entropy/lm_head_cross_entropy.h"
#include "core/ops/rms_norm/rms_norm.h"
#include "core/random.h"

namespace clausius {
namespace {

constexpr std::int64_t kTokens = 1024;
constexpr std::int64_t kWidth = 768;
constexpr std::int64_t kHeads = 12;
constexpr std::int64_t kHeadDim = 64;
constexpr std::int64_t kVocabulary = 50304;
constexpr std::int64_t kNormRows = 8192;
constexpr std::int64_t kParameters = std::int64_t{32} << 20;

// The fastest of the runs that fit in a fifth of a second, at least three: the machine may be shared.
template <class Fn>
double fastest(const Fn& fn) {
  constexpr std::chrono::milliseconds kTime(200);
  constexpr int kLeast = 3;
  fn();
  double best = std::numeric_limits<double>::infinity();
  const auto begin = std::chrono::steady_clock::now();
  for (int runs = 0; runs < kLeast || std::chrono::steady_clock::now() - begin < kTime; ++runs) {
    const auto start = std::chrono::steady_clock::now();
    fn();
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    best = std::min(best, elapsed.count());
  }
  return best;
}

// Uniform in [-1, 1): attention and norms must not meet constants.
Tensor uniform(const Shape& shape, Dtype dtype, std::string_view name) {
  Tensor values = Tensor::empty(shape, Dtype::kF32);
  const RandomStream stream{.stream = stream_of(name)};
  for (std::int64_t block = 0; 4 * block < values.numel(); ++block) {
    const PhiloxBlock words = stream.block(static_cast<std::uint32_t>(block));
    for (std::int64_t i = 4 * block; i < std::min(4 * block + 4, values.numel()); ++i) {
      values.data<float>()[i] =
          static_cast<float>(words[static_cast<std::size_t>(i % 4)]) * 0x1p-31F - 1.0F;
    }
  }
  return values.to(dtype);
}

double element_bytes(std::int64_t elements, Dtype dtype) {
  return static_cast<double>(elements) * static_cast<double>(size_of(dtype));
}

MicroResult run_linear(std::int64_t inputs, std::int64_t outputs, Dtype dtype) {
  const Tensor x = uniform({kTokens, inputs}, dtype, "x");
  const Tensor weight = uniform({outputs, inputs}, dtype, "weight");
  Tensor y = Tensor::empty({kTokens, outputs}, dtype);
  return {.seconds = fastest([&] { ops::linear(x, weight, {}, y); }),
          .flops = 2.0 * static_cast<double>(kTokens * inputs * outputs)};
}

MicroResult run_attention(bool backward, Dtype dtype) {
  const Tensor qkv = uniform({1, kTokens, 3 * kHeads * kHeadDim}, dtype, "qkv");
  const auto heads = [&](std::int64_t part) {
    return qkv.slice(2, part * kHeads * kHeadDim, (part + 1) * kHeads * kHeadDim)
        .reshape({1, kTokens, kHeads, kHeadDim})
        .transpose(1, 2);
  };
  const Tensor q = heads(0);
  const Tensor k = heads(1);
  const Tensor v = heads(2);
  ops::AttentionOptions options;
  options.mask.causal = true;
  // 4 T^2 D a head, half of it masked; backward is 2.5 times that.
  const double forward_flops = 2.0 * static_cast<double>(kHeads * kTokens * kTokens * kHeadDim);
  ops::AttentionResult result = ops::attention(q, k, v, {}, {}, options);
  if (!backward) {
    return {.seconds = fastest([&] { result = ops::attention(q, k, v, {}, {}, options); }),
            .flops = forward_flops};
  }
  const Tensor dy = uniform({1, kTokens, kHeads, kHeadDim}, dtype, "dy");
  ops::AttentionGradients gradients;
  return {.seconds = fastest([&] {
            gradients =
                ops::attention_backward(dy, {}, {}, q, k, v, {}, {}, result, options, gradients);
          }),
          .flops = 2.5 * forward_flops};
}

// Reads x and dy, writes dx; forward reads x, writes y.
template <class Forward, class Backward>
MicroResult run_norm(bool backward, Dtype dtype, const Forward& forward, const Backward& back) {
  const Tensor x = uniform({kNormRows, kWidth}, dtype, "x");
  const Tensor gain = uniform({kWidth}, Dtype::kF32, "gain");
  auto out = forward(x, gain);
  if (!backward) {
    return {.seconds = fastest([&] { out = forward(x, gain); }),
            .bytes = 2 * element_bytes(x.numel(), dtype)};
  }
  auto gradients = back(x, x, gain, out);
  return {.seconds = fastest([&] { gradients = back(x, x, gain, out); }),
          .bytes = 3 * element_bytes(x.numel(), dtype)};
}

MicroResult run_layer_norm(bool backward, Dtype dtype) {
  return run_norm(
      backward, dtype,
      [](const Tensor& x, const Tensor& gain) { return ops::layer_norm(x, gain, gain, 1e-5); },
      [](const Tensor& dy, const Tensor& x, const Tensor& gain, const ops::LayerNormOutput& out) {
        return ops::layer_norm_backward(dy, x, gain, out.mean, out.rstd, true);
      });
}

MicroResult run_rms_norm(bool backward, Dtype dtype) {
  return run_norm(
      backward, dtype,
      [](const Tensor& x, const Tensor& gain) { return ops::rms_norm(x, gain, 1e-5); },
      [](const Tensor& dy, const Tensor& x, const Tensor& gain, const ops::RmsNormOutput& out) {
        return ops::rms_norm_backward(dy, x, gain, out.rstd);
      });
}

MicroResult run_lm_head(Dtype dtype) {
  const Tensor x = uniform({kTokens, kWidth}, dtype, "x");
  const Tensor weight = uniform({kVocabulary, kWidth}, dtype, "weight");
  const Tensor targets = Tensor::full({kTokens}, 7, Dtype::kI32);
  ops::LmHeadLoss loss;
  return {.seconds = fastest([&] {
            loss =
                ops::lm_head_cross_entropy(x, weight, targets, {}, {.dx = true, .dweight = true});
          }),
          .flops = 6.0 * static_cast<double>(kTokens * kWidth * kVocabulary)};
}

// Reads gradient, two moments and the master; writes moments, master and (bf16) the compute copy.
MicroResult run_adamw(Dtype dtype) {
  const Tensor gradient = Tensor::full({kParameters}, 1e-3, Dtype::kF32);
  Tensor m = Tensor::zeros({kParameters}, Dtype::kF32);
  Tensor v = Tensor::zeros({kParameters}, Dtype::kF32);
  Tensor master = Tensor::full({kParameters}, 0.02, Dtype::kF32);
  Tensor compute = dtype == Dtype::kBf16 ? Tensor::zeros({kParameters}, Dtype::kBf16) : Tensor();
  const std::vector<UpdateRange> ranges = {{.begin = 0, .end = kParameters, .weight_decay = 0.1}};
  return {.seconds = fastest([&] { ops::adamw(gradient, m, v, master, compute, ranges, {}); }),
          .bytes = element_bytes(kParameters, Dtype::kF32) * 7 +
                   (compute.defined() ? element_bytes(kParameters, Dtype::kBf16) : 0.0)};
}

}  // namespace

double MicroResult::fraction_of(const Ceilings& ceilings, Dtype dtype) const {
  return flops > 0 ? flops / seconds / ceilings.gemm(dtype) : bytes / seconds / ceilings.copy;
}

std::vector<MicroBenchmark> micro_benchmarks(const std::string& filter) {
  std::vector<MicroBenchmark> list;
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
    const auto add = [&](const std::string& name, const auto& run) {
      if (name.find(filter) != std::string::npos) {
        list.push_back({name, dtype, [run, dtype] { return run(dtype); }});
      }
    };
    add("linear/1024x768x3072", [](Dtype d) { return run_linear(kWidth, 4 * kWidth, d); });
    add("linear/1024x3072x768", [](Dtype d) { return run_linear(4 * kWidth, kWidth, d); });
    add("attention_forward/1x12x1024x64", [](Dtype d) { return run_attention(false, d); });
    add("attention_backward/1x12x1024x64", [](Dtype d) { return run_attention(true, d); });
    add("lm_head/1024x768x50304", run_lm_head);
    add("layer_norm_forward/8192x768", [](Dtype d) { return run_layer_norm(false, d); });
    add("layer_norm_backward/8192x768", [](Dtype d) { return run_layer_norm(true, d); });
    add("rms_norm_forward/8192x768", [](Dtype d) { return run_rms_norm(false, d); });
    add("rms_norm_backward/8192x768", [](Dtype d) { return run_rms_norm(true, d); });
    add("adamw/32M", run_adamw);
  }
  return list;
}

}  // namespace clausius
