// SPDX-License-Identifier: Apache-2.0
// Rows of the attention case table and their inputs.
#pragma once

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "core/ops/attention/attention.h"
#include "tests/support/random_tensor.h"

namespace clausius::test {

struct AttentionCase {
  std::string name;
  std::int64_t B = 2, H = 2, G = 2, T = 5, S = 5, D = 4, E = 4;
  bool causal = true;
  std::optional<std::int64_t> window = {};
  std::vector<std::int32_t> documents = {};  // cu_seqlens
  std::vector<std::int32_t> key_lengths = {};
  std::int64_t query_offset = 0;
  std::optional<double> softcap = {};
  bool sink = false;
  int scale_rank = 0;  // 0: none, 1: [H], 2: [H, T]
  double dropout = 0;
  double q_std = 1.0;
  double k_mean = 0.0;  // moves every logit of a row together
};

inline std::ostream& operator<<(std::ostream& out, const AttentionCase& row) {
  return out << row.name;
}

struct AttentionInputs {
  Tensor q, k, v, scale, sink;
  Tensor dy, dentropy, dlse;
  ops::AttentionOptions options;

  /// The same in another element type (statistics' type for scale, sink and their like).
  [[nodiscard]] AttentionInputs to(Dtype dtype) const {
    const Dtype statistics = dtype == Dtype::kF64 ? Dtype::kF64 : Dtype::kF32;
    AttentionInputs other = *this;
    for (Tensor* tensor : {&other.q, &other.k, &other.v, &other.dy}) {
      *tensor = tensor->to(dtype);
    }
    for (Tensor* tensor : {&other.scale, &other.sink, &other.dentropy, &other.dlse}) {
      *tensor = tensor->defined() ? tensor->to(statistics) : *tensor;
    }
    return other;
  }
  [[nodiscard]] ops::AttentionResult forward() const {
    return ops::attention(q, k, v, scale, sink, options);
  }
  [[nodiscard]] ops::AttentionGradients backward(const ops::AttentionResult& result,
                                                 ops::AttentionGradients into = {}) const {
    return ops::attention_backward(dy, dentropy, dlse, q, k, v, scale, sink, result, options,
                                   std::move(into));
  }
};

/// f64 inputs, the same for equal rows.
inline AttentionInputs make_inputs(const AttentionCase& row) {
  AttentionInputs in;
  in.q = random_normal({row.B, row.H, row.T, row.D}, "q", row.q_std);
  in.k = random_normal({row.B, row.G, row.S, row.D}, "k");
  in.v = random_normal({row.B, row.G, row.S, row.E}, "v");
  if (row.k_mean != 0) {
    for (double& value : in.k.span<double>()) {
      value += row.k_mean;
    }
  }
  in.dy = random_normal({row.B, row.T, row.H, row.E}, "dy");
  in.dentropy = random_normal({row.B, row.H, row.T}, "dentropy");
  in.dlse = random_normal({row.B, row.H, row.T}, "dlse");
  if (row.scale_rank > 0) {
    in.scale = random_normal(row.scale_rank == 1 ? Shape{row.H} : Shape{row.H, row.T}, "scale");
  }
  if (row.sink) {
    in.sink = random_normal({row.H}, "sink");
  }
  in.options.mask.causal = row.causal;
  in.options.mask.window = row.window;
  in.options.mask.query_offset = row.query_offset;
  if (!row.documents.empty()) {
    in.options.mask.cu_seqlens =
        Tensor::from(row.documents, {static_cast<std::int64_t>(row.documents.size())});
  }
  if (!row.key_lengths.empty()) {
    in.options.mask.key_lengths = Tensor::from(row.key_lengths, {row.B});
  }
  in.options.logit_softcap = row.softcap;
  in.options.dropout = row.dropout;
  in.options.dropout_stream = {
      .seed = 3, .stream = stream_of("attention_test"), .step = 5, .sample = 0};
  std::vector<std::int64_t> samples;
  for (std::int64_t b = 0; b < row.B; ++b) {
    samples.push_back(40 + b);
  }
  in.options.dropout_samples = Tensor::from(samples, {row.B});
  return in;
}

/// Small rows over every option: what the reference is checked with by hand and by central
/// differences.
inline std::vector<AttentionCase> small_attention_cases() {
  return {
      {.name = "causal"},
      {.name = "full", .causal = false},
      {.name = "one_token", .T = 1, .S = 1},
      {.name = "no_queries", .T = 0, .S = 3, .causal = false},
      {.name = "no_keys", .T = 3, .S = 0, .causal = false},
      {.name = "no_batch", .B = 0},
      {.name = "grouped", .H = 4, .G = 2},
      {.name = "multi_query", .H = 3, .G = 1},
      {.name = "wide_values", .D = 3, .E = 7},
      {.name = "narrow_values", .D = 6, .E = 1},
      {.name = "window", .T = 7, .S = 7, .window = 3},
      {.name = "window_of_one", .T = 4, .S = 4, .window = 1},
      {.name = "window_both_sides", .T = 7, .S = 7, .causal = false, .window = 2},
      {.name = "huge_window", .window = INT64_MAX},
      {.name = "documents", .T = 6, .S = 6, .documents = {0, 2, 6, 6, 7, 11, 12}},
      {.name = "documents_full", .T = 6, .S = 6, .causal = false, .documents = {0, 1, 6, 12}},
      {.name = "documents_window", .T = 6, .S = 6, .window = 2, .documents = {0, 2, 6, 12}},
      {.name = "key_lengths", .causal = false, .key_lengths = {3, 0}},
      {.name = "key_lengths_causal_window", .T = 6, .S = 6, .window = 2, .key_lengths = {6, 3}},
      {.name = "decode", .T = 1, .S = 9, .query_offset = 8},
      {.name = "continued_prefill", .T = 3, .S = 9, .query_offset = 6},
      {.name = "cross", .T = 3, .S = 8, .causal = false},
      {.name = "softcap", .softcap = 1.5},
      {.name = "sink", .sink = true},
      {.name = "sink_without_keys", .causal = false, .key_lengths = {2, 0}, .sink = true},
      {.name = "scale_per_head", .scale_rank = 1},
      {.name = "scale_per_position", .scale_rank = 2},
      {.name = "dropout", .T = 6, .S = 6, .dropout = 0.4},
      {.name = "everything",
       .H = 4,
       .G = 2,
       .T = 6,
       .S = 6,
       .D = 3,
       .E = 5,
       .window = 4,
       .documents = {0, 4, 6, 12},
       .key_lengths = {5, 6},
       .softcap = 2.0,
       .sink = true,
       .scale_rank = 2,
       .dropout = 0.3},
  };
}

}  // namespace clausius::test
