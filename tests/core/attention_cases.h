// SPDX-License-Identifier: Apache-2.0
// Rows of the attention case table and their inputs.
#pragma once

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "core/ops/attention/attention.h"
#include "core/parallel.h"
#include "tests/support/random_tensor.h"

namespace clausius::test {

/// One thread while it lives: teams that outnumber idle cores wait longer than small rows compute.
class OneThread {
 public:
  OneThread() { set_num_threads(1); }
  ~OneThread() { set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_ = num_threads();
};

struct AttentionCase {
  std::string name = {};
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

/// Rows over tiles of the fast kernels: lengths that no tile divides, shared heads, decoding, large logits.
inline std::vector<AttentionCase> tiled_attention_cases() {
  return {
      {.name = "tiles", .B = 1, .T = 128, .S = 128, .D = 64, .E = 64},
      {.name = "prime_length", .T = 131, .S = 131, .D = 20, .E = 12},
      {.name = "prime_length_full", .B = 1, .T = 67, .S = 131, .D = 16, .E = 16, .causal = false},
      {.name = "odd_sizes", .B = 1, .T = 65, .S = 65, .D = 7, .E = 33},
      {.name = "wide_heads", .B = 1, .H = 1, .G = 1, .T = 80, .S = 80, .D = 128, .E = 192},
      {.name = "shared_heads", .B = 1, .H = 6, .G = 2, .T = 97, .S = 97, .D = 16, .E = 16},
      {.name = "one_key_head", .B = 3, .H = 4, .G = 1, .T = 70, .S = 70, .D = 16, .E = 16},
      {.name = "many_heads", .B = 3, .H = 4, .G = 4, .T = 70, .S = 70, .D = 16, .E = 16},
      {.name = "decode_tiles",
       .B = 3,
       .H = 6,
       .G = 2,
       .T = 1,
       .S = 200,
       .D = 16,
       .E = 24,
       .key_lengths = {200, 63, 1},
       .query_offset = 199},
      {.name = "decode_long",
       .H = 6,
       .G = 2,
       .T = 2,
       .S = 700,
       .D = 16,
       .E = 40,
       .key_lengths = {700, 300},
       .query_offset = 698,
       .softcap = 3.0,
       .sink = true,
       .scale_rank = 2},
      {.name = "decode_window",
       .B = 1,
       .H = 3,
       .G = 3,
       .T = 4,
       .S = 600,
       .D = 70,
       .E = 8,
       .window = 290,
       .query_offset = 596},
      {.name = "prefill_tiles", .B = 1, .T = 70, .S = 201, .D = 16, .E = 16, .query_offset = 131},
      {.name = "huge_logits", .B = 1, .T = 130, .S = 130, .D = 16, .E = 16, .q_std = 300.0},
      {.name = "tiny_logits", .B = 1, .T = 130, .S = 130, .D = 16, .E = 16, .q_std = 1e-4},
      {.name = "shifted_logits",
       .B = 1,
       .T = 130,
       .S = 130,
       .D = 16,
       .E = 16,
       .q_std = 3.0,
       .k_mean = 100.0},
  };
}

/// Options over tiles.
inline std::vector<AttentionCase> optional_attention_cases() {
  return {
      {.name = "softcap_tiles", .B = 1, .T = 130, .S = 130, .D = 16, .E = 16, .softcap = 3.0},
      {.name = "sink_tiles", .B = 1, .T = 130, .S = 130, .D = 16, .E = 16, .sink = true},
      {.name = "scale_tiles", .T = 70, .S = 70, .D = 16, .E = 16, .scale_rank = 2},
      {.name = "dropout_tiles", .T = 130, .S = 130, .D = 16, .E = 16, .dropout = 0.25},
      {.name = "dropout_odd_keys",
       .B = 1,
       .T = 67,
       .S = 135,
       .D = 16,
       .E = 16,
       .causal = false,
       .dropout = 0.6},
      {.name = "everything_tiles",
       .H = 4,
       .G = 2,
       .T = 140,
       .S = 140,
       .D = 20,
       .E = 36,
       .window = 90,
       .documents = {0, 120, 140, 280},
       .key_lengths = {130, 100},
       .softcap = 4.0,
       .sink = true,
       .scale_rank = 1,
       .dropout = 0.3},
  };
}

/// Masks that cut tiles.
inline std::vector<AttentionCase> masked_attention_cases() {
  return {
      {.name = "narrow_window", .B = 1, .T = 200, .S = 200, .D = 16, .E = 16, .window = 5},
      {.name = "wide_window", .B = 1, .T = 300, .S = 300, .D = 16, .E = 16, .window = 130},
      {.name = "window_ahead",
       .B = 1,
       .T = 200,
       .S = 200,
       .D = 16,
       .E = 16,
       .causal = false,
       .window = 70},
      {.name = "packed",
       .T = 130,
       .S = 130,
       .D = 16,
       .E = 16,
       .documents = {0, 20, 21, 100, 130, 200, 260}},
      {.name = "packed_full",
       .T = 130,
       .S = 130,
       .D = 16,
       .E = 16,
       .causal = false,
       .documents = {0, 3, 100, 130, 258, 260}},
      {.name = "short_rows",
       .B = 3,
       .T = 130,
       .S = 130,
       .D = 16,
       .E = 16,
       .causal = false,
       .key_lengths = {130, 65, 0}},
      {.name = "short_rows_window",
       .T = 150,
       .S = 150,
       .D = 16,
       .E = 16,
       .window = 20,
       .key_lengths = {40, 150}},
  };
}

}  // namespace clausius::test
