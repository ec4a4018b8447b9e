// SPDX-License-Identifier: Apache-2.0
// The attention rule: case table, gradients in place through one fused projection, gradients that add to others.
#include "autograd/rules/attention.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <gtest/gtest.h>

#include "autograd/rules/views.h"
#include "autograd/tape.h"
#include "core/ops/attention/attention.h"
#include "tests/support/op_case.h"
#include "tests/support/random_tensor.h"

namespace clausius::test {
namespace {

struct Sizes {
  std::int64_t B = 2, T = 5, S = 5, H = 2, G = 2, D = 4, E = 4;
};

// Inputs q_BTHD, k_BSGD, v_BSGE, then scale and sink where asked for.
OpCase attention_case(const std::string& name,
                      const Sizes& n,
                      const ops::AttentionOptions& options,
                      int scale_rank = 0,
                      bool sink = false) {
  OpCase row;
  row.name = name;
  row.inputs = {{.shape = {n.B, n.T, n.H, n.D}},
                {.shape = {n.B, n.S, n.G, n.D}},
                {.shape = {n.B, n.S, n.G, n.E}}};
  row.reduction = std::max({n.T * n.H, n.S, n.D, n.E});
  row.roundings = 3;
  if (scale_rank > 0) {
    row.inputs.push_back({.shape = scale_rank == 1 ? Shape{n.H} : Shape{n.H, n.T},
                          .fill = Fill::kUniform,
                          .keep_f32 = true});
  }
  if (sink) {
    row.inputs.push_back({.shape = {n.H}, .keep_f32 = true});
  }
  row.fn = [=](const std::vector<Variable>& x) {
    const Variable scale = scale_rank > 0 ? x[3] : Variable();
    const Variable sink_logits = sink ? x.back() : Variable();
    const Attention result = attention(x[0], x[1], x[2], scale, sink_logits, options);
    return std::vector{result.y_BTHE, result.entropy_BHT, result.lse_BHT};
  };
  return row;
}

std::vector<OpCase> attention_rows() {
  ops::AttentionOptions causal;
  ops::AttentionOptions full;
  full.mask.causal = false;
  ops::AttentionOptions window = causal;
  window.mask.window = 3;
  ops::AttentionOptions softcap = causal;
  softcap.logit_softcap = 2.0;
  ops::AttentionOptions documents = causal;
  documents.mask.cu_seqlens = Tensor::from<std::int32_t>({0, 2, 5, 9, 10}, {5});
  ops::AttentionOptions dropout = causal;
  dropout.dropout = 0.4;
  dropout.dropout_stream = {.seed = 5, .stream = 11, .step = 2, .sample = 0};
  dropout.dropout_samples = Tensor::from<std::int64_t>({3, 8}, {2});
  ops::AttentionOptions everything = dropout;
  everything.mask.window = 4;
  everything.mask.key_lengths = Tensor::from<std::int32_t>({70, 41}, {2});
  everything.logit_softcap = 3.0;
  return {
      attention_case("causal", {}, causal),
      attention_case("full", {.T = 3, .S = 7}, full),
      attention_case("one_token", {.T = 1, .S = 1}, causal),
      attention_case("no_tokens", {.T = 0, .S = 0}, causal),
      attention_case("grouped", {.H = 6, .G = 2, .D = 3, .E = 5}, causal),
      attention_case("over_a_tile", {.B = 1, .T = 131, .S = 131, .D = 16, .E = 16}, causal),
      attention_case("window", {}, window),
      attention_case("softcap", {}, softcap),
      attention_case("documents", {}, documents),
      attention_case("dropout", {}, dropout),
      attention_case("sink", {}, causal, 0, true),
      attention_case("scale_per_head", {}, causal, 1),
      attention_case("scale_per_position", {}, causal, 2, true),
      attention_case("everything", {.T = 70, .S = 70, .H = 4, .D = 16, .E = 20}, everything, 2,
                     true),
  };
}

CLS_OP_CASES(attention, (attention_rows()));

// q, k and v cut out of one projection give its gradient in place, to the same bits as from tensors of their own.
TEST(AttentionRule, FusedProjectionGetsItsGradientInPlace) {
  const Tensor fused = random_normal({2, 70, 128}, "fused").to(Dtype::kF32);
  const Tensor dy = random_normal({2, 70, 4, 16}, "dy").to(Dtype::kF32);
  const std::array<std::int64_t, 3> counts = {4, 2, 2};
  Tape tape;
  const Variable x = tape.watch(fused);
  const std::vector<Variable> parts = split_heads(x, counts, 16);
  tape.backward(attention(parts[0], parts[1], parts[2], {}, {}, {}).y_BTHE, dy);

  Tape separate;
  std::vector<Variable> own;
  own.reserve(parts.size());
  for (const Variable& part : parts) {
    own.push_back(separate.watch(part.value().clone()));
  }
  separate.backward(attention(own[0], own[1], own[2], {}, {}, {}).y_BTHE, dy);
  const Tensor gradient = tape.gradient(x).reshape({2, 70, 8, 16});
  expect_bits_equal(gradient.slice(2, 0, 4), separate.gradient(own[0]), "dq");
  expect_bits_equal(gradient.slice(2, 4, 6), separate.gradient(own[1]), "dk");
  expect_bits_equal(gradient.slice(2, 6, 8), separate.gradient(own[2]), "dv");
}

// One tensor as query, key and value of two attentions: six gradients add up.
TEST(AttentionRule, GradientsAddToThoseOfOtherUses) {
  const Tensor value = random_normal({1, 6, 2, 4}, "shared");
  EXPECT_EQ(gradcheck(
                [](const std::vector<Variable>& x) {
                  const Attention first = attention(x[0], x[0], x[0], {}, {}, {});
                  const Attention second = attention(first.y_BTHE, x[0], first.y_BTHE, {}, {}, {});
                  return std::vector{second.y_BTHE, first.entropy_BHT, second.lse_BHT};
                },
                {value}),
            "");
}

// A loss on the entropy alone moves queries and keys, not values.
TEST(AttentionRule, EntropyAloneGivesNoGradientToValues) {
  Tape tape;
  const Variable q = tape.watch(random_normal({1, 6, 2, 4}, "q"));
  const Variable k = tape.watch(random_normal({1, 6, 2, 4}, "k"));
  const Variable v = tape.watch(random_normal({1, 6, 2, 4}, "v"));
  tape.backward(attention(q, k, v, {}, {}, {}).entropy_BHT,
                Tensor::full({1, 2, 6}, 1.0, Dtype::kF64));
  double largest = 0;
  for (const double value : tape.gradient(q).contiguous().span<double>()) {
    largest = std::max(largest, std::abs(value));
  }
  EXPECT_GT(largest, 1e-3);
  for (const double value : tape.gradient(v).contiguous().span<double>()) {
    EXPECT_EQ(value, 0.0);
  }
}

}  // namespace
}  // namespace clausius::test
