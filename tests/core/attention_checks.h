// SPDX-License-Identifier: Apache-2.0
// What attention kernels are held to on every device. Tensors may be on any of them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/ops/attention/attention.h"
#include "tests/core/attention_cases.h"

namespace clausius::test {

/// A bound on |s|, whose rounding is an absolute error of the logits and so a relative one of the probabilities. Inputs on the CPU.
[[nodiscard]] double largest_logit(const AttentionInputs& in);

/// y within `limit`; lse and max_logit, f32 in every type, within 1e-5 and 1e-6.
void expect_results_close(const ops::AttentionResult& got,
                          const ops::AttentionResult& want,
                          double limit,
                          const std::string& what);
void expect_gradients_close(const ops::AttentionGradients& got,
                            const ops::AttentionGradients& want,
                            double limit,
                            const std::string& what);
/// |H - H64| <= 1e-5 H + 1e-6 + 8 2^-24 max|s| (1 + ln n), and 0 <= H <= ln n. Inputs on the CPU.
void expect_entropy_bound(const AttentionInputs& in,
                          const Tensor& entropy_BHT,
                          const Tensor& exact_BHT);

void expect_same_bits(const ops::AttentionResult& a,
                      const ops::AttentionResult& b,
                      const std::string& what);
void expect_same_bits(const ops::AttentionGradients& a,
                      const ops::AttentionGradients& b,
                      const std::string& what);

/// [B, heads, T, width] as part of a wider buffer in [B, T, heads, width] order; uninitialised in effect.
[[nodiscard]] Tensor strided_like(const Tensor& x);

/// One head of n keys whose scores are `logits` for every query.
[[nodiscard]] AttentionInputs inputs_with_logits(const std::vector<double>& logits,
                                                 std::int64_t queries = 70);

/// Rows whose entropy is hard to get right: uniform, one-hot-like, far from zero, a single key.
using NamedLogits = std::pair<std::string, std::vector<double>>;
[[nodiscard]] std::vector<NamedLogits> hard_logits();

}  // namespace clausius::test
