// SPDX-License-Identifier: Apache-2.0
// lm_head_cross_entropy on the CPU: chunks of tokens; products by oneDNN, the softmax over hot logits.
#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "core/ops/lm_head_cross_entropy/lm_head_cross_entropy.h"
#include "core/ops/lm_head_cross_entropy/lm_head_cross_entropy_reference.h"
#include "core/ops/lm_head_cross_entropy/lm_head_softmax.h"
#include "core/ops/matmul/gemm.h"
#include "core/parallel.h"

namespace clausius::ops {
namespace {

using detail::RowGradient;
using detail::TokenLoss;

std::vector<std::int64_t> counted_tokens(const Tensor& targets_N) {
  std::vector<std::int64_t> counted;
  for (std::int64_t n = 0; n < targets_N.size(0); ++n) {
    if (targets_N.data<std::int32_t>()[n] != kIgnoredTarget) {
      counted.push_back(n);
    }
  }
  return counted;
}

std::byte* row_of(const Tensor& matrix, std::int64_t row) {
  return matrix.raw() + row * matrix.stride(0) * static_cast<std::int64_t>(size_of(matrix.dtype()));
}

Tensor gather_rows(const Tensor& from, const std::vector<std::int64_t>& rows) {
  const auto count = static_cast<std::int64_t>(rows.size());
  const auto bytes = static_cast<std::size_t>(from.size(1)) * size_of(from.dtype());
  Tensor packed = Tensor::empty({count, from.size(1)}, from.dtype());
  for (std::int64_t k = 0; k < count; ++k) {
    std::memcpy(row_of(packed, k), row_of(from, rows[static_cast<std::size_t>(k)]), bytes);
  }
  return packed;
}

void scatter_rows(const Tensor& packed, const std::vector<std::int64_t>& rows, Tensor& to) {
  const auto bytes = static_cast<std::size_t>(to.size(1)) * size_of(to.dtype());
  to.fill(0.0);
  for (std::int64_t k = 0; k < packed.size(0); ++k) {
    std::memcpy(row_of(to, rows[static_cast<std::size_t>(k)]), row_of(packed, k), bytes);
  }
}

// Logits of consecutive tokens at a time, and the gradients made from them. dx and dweight may be undefined.
class ChunkedHead {
 public:
  ChunkedHead(const Tensor& x_KM,
              const Tensor& weight_VM,
              Tensor& dx_KM,
              Tensor& dweight_VM,
              const Tensor& alpha,
              const LmHeadChunk& chunk)
      : x_KM_(x_KM),
        weight_VM_(weight_VM),
        dx_KM_(dx_KM),
        dweight_VM_(dweight_VM),
        alpha_(alpha),
        vocabulary_(weight_VM.size(0)),
        chunk_(chunk),
        logits_(std::make_shared<Storage>(static_cast<std::size_t>(chunk_.bytes()), kCpu)) {
    if (dx_KM || dweight_VM) {
      gradient_ = x_KM.dtype() == Dtype::kBf16 ? RowGradient::kBf16 : RowGradient::kF32;
    }
  }

  /// In a dry run: the products of one chunk, which take their scratch and return it.
  void touch() {
    const std::int64_t rows = std::min(chunk_.rows, x_KM_.size(0));
    Tensor logits = logits_of(rows);
    gemm(x_KM_.slice(0, 0, rows), weight_VM_.transpose(0, 1), logits, {.factor = alpha_});
    give_gradients(0, rows);
  }

  /// token(k, row, gradient) does what lm_head_softmax says to the logits of token k.
  template <class Token>
  void run(const Token& token) {
    constexpr std::int64_t kGrainElements = 1 << 15;
    for (std::int64_t begin = 0; begin < x_KM_.size(0); begin += chunk_.rows) {
      const std::int64_t end = std::min(x_KM_.size(0), begin + chunk_.rows);
      Tensor logits = logits_of(end - begin);
      gemm(x_KM_.slice(0, begin, end), weight_VM_.transpose(0, 1), logits, {.factor = alpha_});
      float* data = logits.data<float>();
      parallel_for(end - begin, div_ceil(kGrainElements, vocabulary_),
                   [&](std::int64_t from, std::int64_t to) {
                     for (std::int64_t k = from; k < to; ++k) {
                       token(begin + k, data + k * chunk_.row_step, gradient_);
                     }
                   });
      if (gradient_ != RowGradient::kNone) {
        give_gradients(begin, end);
      }
    }
  }

 private:
  [[nodiscard]] Tensor logits_of(std::int64_t rows) const {
    return Tensor::over(logits_, 0, {rows, chunk_.row_step}, Dtype::kF32).slice(1, 0, vocabulary_);
  }

  void give_gradients(std::int64_t begin, std::int64_t end) {
    // A bf16 row fills the front half of its f32 row.
    const Tensor dlogits =
        gradient_ == RowGradient::kBf16
            ? Tensor::over(logits_, 0, {end - begin, 2 * chunk_.row_step}, Dtype::kBf16)
                  .slice(1, 0, vocabulary_)
            : logits_of(end - begin);
    if (dx_KM_) {
      Tensor dx = dx_KM_.slice(0, begin, end);
      gemm(dlogits, weight_VM_, dx, {.factor = alpha_});
    }
    if (dweight_VM_) {
      gemm(dlogits.transpose(0, 1), x_KM_.slice(0, begin, end), dweight_VM_,
           {.accumulate = begin > 0});
    }
  }

  const Tensor& x_KM_;
  const Tensor& weight_VM_;
  Tensor& dx_KM_;
  Tensor& dweight_VM_;
  Tensor alpha_;
  std::int64_t vocabulary_;
  LmHeadChunk chunk_;
  std::shared_ptr<Storage> logits_;
  RowGradient gradient_ = RowGradient::kNone;
};

// Of all tokens, not of those that count: what is held does not jump from batch to batch.
LmHeadChunk chunk_of(const Tensor& x_NM, const Tensor& weight_VM, const LmHeadOptions& options) {
  return lm_head_chunk(x_NM.size(0), weight_VM.size(0), options.chunk_bytes);
}

bool all_are_counted(const Tensor& x_NM, const std::vector<std::int64_t>& counted) {
  return std::ssize(counted) == x_NM.size(0);
}

void lm_head_cross_entropy_cpu(const Tensor& x_NM,
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
  const std::vector<std::int64_t> counted = counted_tokens(targets_N);
  token_loss_N.fill(0.0);
  lse_N.fill(0.0);
  loss_sum.fill(0.0);
  LseSums().write(lse_sums);
  if (counted.empty()) {
    for (Tensor* gradient : {&dx_NM, &dweight_VM}) {
      if (*gradient) {
        gradient->fill(0.0);
      }
    }
    return;
  }
  const bool all = all_are_counted(x_NM, counted);
  const Tensor x = x_NM.last_is_dense() ? x_NM : x_NM.contiguous();
  const Tensor x_KM = all ? x : gather_rows(x, counted);
  Tensor dx_KM = all || !dx_NM ? dx_NM : Tensor::empty(x_KM.shape(), x_KM.dtype());
  const std::int32_t* targets = targets_N.data<std::int32_t>();
  float* losses = token_loss_N.data<float>();
  float* lses = lse_N.data<float>();
  const auto weight_of = [&](std::int64_t n) {
    return token_weights_N ? token_weights_N.data<float>()[n] : 1.0F;
  };
  const double z_weight = options.z_weight ? options.z_weight.data<double>()[0] : 0.0;
  ChunkedHead head(x_KM, weight_VM, dx_KM, dweight_VM, options.alpha,
                   chunk_of(x_NM, weight_VM, options));
  head.run([&](std::int64_t k, float* row, RowGradient gradient) {
    const std::int64_t n = counted[static_cast<std::size_t>(k)];
    const TokenLoss token = detail::lm_head_softmax(row, weight_VM.size(0), targets[n],
                                                    weight_of(n), z_weight, gradient);
    losses[n] = token.loss;
    lses[n] = token.lse;
  });
  if (dx_NM && !all) {
    scatter_rows(dx_KM, counted, dx_NM);
  }
  double total = 0;
  LseSums sums;
  for (const std::int64_t n : counted) {
    sums.add(static_cast<double>(lses[n]), static_cast<double>(weight_of(n)));
    total += static_cast<double>(weight_of(n)) * static_cast<double>(losses[n]);
  }
  loss_sum.fill(total);
  sums.write(lse_sums);
}

CLS_KERNEL(lm_head_cross_entropy, kCpu, kF32, lm_head_cross_entropy_cpu);
CLS_KERNEL(lm_head_cross_entropy, kCpu, kBf16, lm_head_cross_entropy_cpu);

}  // namespace

void detail::touch_lm_head_memory(const Tensor& x_NM,
                                  const Tensor& weight_VM,
                                  const Tensor& targets_N,
                                  const Tensor& dx_NM,
                                  const Tensor& dweight_VM,
                                  const LmHeadOptions& options) {
  const std::vector<std::int64_t> counted = counted_tokens(targets_N);
  if (counted.empty()) {
    return;
  }
  const bool all = all_are_counted(x_NM, counted);
  const Tensor packed = x_NM.slice(0, 0, std::ssize(counted));
  const Tensor x_KM = all && x_NM.last_is_dense() ? x_NM : packed.clone();
  Tensor dx_KM = all || !dx_NM ? dx_NM : x_KM.clone();
  Tensor dweight = dweight_VM;
  ChunkedHead(x_KM, weight_VM, dx_KM, dweight, options.alpha, chunk_of(x_NM, weight_VM, options))
      .touch();
}
}  // namespace clausius::ops
