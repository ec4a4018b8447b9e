// SPDX-License-Identifier: Apache-2.0
// Folded weights against the models they come from.
#include <cmath>

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/ops/linear/linear.h"
#include "layers/fold/feed_forward_fold.h"
#include "layers/fold/temperature_fold.h"
#include "tests/layers/mixer_bench.h"
#include "tests/layers/tiny_decoder.h"
#include "tests/support/op_case.h"
#include "tests/support/random_tensor.h"

namespace clausius::test {
namespace {

TEST(FoldFeedForward, TwoMatricesAreOne) {
  const Tensor x = random_normal({7, 5}, "x");
  const Tensor w_in = random_normal({20, 5}, "w_in");
  const Tensor b_in = random_normal({20}, "b_in");
  const Tensor w_out = random_normal({5, 20}, "w_out");
  const Tensor b_out = random_normal({5}, "b_out");
  for (const bool in : {false, true}) {
    for (const bool out : {false, true}) {
      const Tensor first = in ? b_in : Tensor();
      const Tensor second = out ? b_out : Tensor();
      const FoldedLinear one = fold_feed_forward(w_in, first, w_out, second, -1.7);
      EXPECT_EQ(one.bias_M.defined(), in || out);
      const Tensor want = ops::linear(ops::linear(x, w_in, first), w_out, second);
      Tensor scaled = want.clone();
      for (double& value : scaled.span<double>()) {
        value /= -1.7;
      }
      expect_close(ops::linear(x, one.weight_MM, one.bias_M), scaled,
                   tolerance(Dtype::kF64, 100, 4), "y");
    }
  }
}

// An identity mlp with a learned scale, and the linear feed-forward that takes its folded matrix: the same model.
TEST(FoldFeedForward, AnIdentityMlpBecomesTheFusedFeedForward) {
  const std::string scale = "scale: {kind: learned, alpha_init: 2.5, beta_init: 0.6}";
  const auto two =
      tiny_decoder("bias: true\nfeed_forward: {kind: mlp, activation: identity, " + scale + "}");
  const auto one = tiny_decoder("bias: true\nfeed_forward: {kind: linear, " + scale + "}");
  for (Parameter& parameter : one->parameters().parameters()) {
    if (Parameter* same = two->parameters().find(parameter.path())) {
      parameter.master().copy_from(same->master());
    }
  }
  for (const char* layer : {"blocks.0.feed_forward.", "blocks.1.feed_forward."}) {
    const auto of = [&](DecoderLm& model, const char* name) -> Tensor& {
      return model.parameters().find(concat(layer, name))->master();
    };
    const FoldedLinear folded =
        fold_feed_forward(of(*two, "up.weight"), of(*two, "up.bias"), of(*two, "down.weight"),
                          of(*two, "down.bias"), 1.0 / of(*two, "scale.gain").item());
    of(*one, "map.weight").copy_from(folded.weight_MM);
    of(*one, "map.bias").copy_from(folded.bias_M);
    of(*one, "scale.gain").fill(1.0);
  }
  const Tensor tokens = decoder_batch().inputs_BT;
  expect_close(one->logits(tokens), two->logits(tokens), tolerance(Dtype::kF64, 64, 12), "logits");
}

TEST(FoldFeedForward, OfOneMatrixDividesIt) {
  const Tensor w = random_normal({3, 4}, "w").to(Dtype::kF32);
  const FoldedLinear half = fold_branch_scale(w, {}, 2.0);
  EXPECT_FALSE(half.bias_M.defined());
  for (std::int64_t i = 0; i < w.numel(); ++i) {
    EXPECT_EQ(half.weight_MM.data<float>()[i], w.data<float>()[i] / 2);
  }
}

TEST(FoldFeedForward, MistakesAreNamed) {
  const Tensor w = random_normal({3, 4}, "w");
  EXPECT_THROW((void)fold_feed_forward(w, {}, w, {}, 1.0), ShapeError);
  EXPECT_THROW((void)fold_feed_forward(w, {}, w.transpose(0, 1), {}, 0.0), ConfigError);
  EXPECT_THROW((void)fold_feed_forward(w, w, w.transpose(0, 1), {}, 1.0), ShapeError);
  EXPECT_THROW((void)fold_branch_scale(w, {}, std::nan("")), ConfigError);
}

TEST(FoldTemperature, GivesTheSameMixerWithoutTemperature) {
  MixerBench with("bias: true\ntemperature: per_head");
  MixerBench plain("bias: true");
  with.stir();
  const auto of = [](MixerBench& bench, const char* name) -> Parameter& {
    return *bench.store().find(concat("mixer.", name));
  };
  for (Parameter& parameter : plain.store().parameters()) {
    parameter.master().copy_from(with.store().find(parameter.path())->master());
  }
  Tensor t = of(with, "log_temperature").master().clone();
  for (double& value : t.span<double>()) {
    value = std::exp(value);
  }
  // Two heads of four: the first eight rows are the queries'.
  Tensor rows = of(plain, "qkv.weight").master().slice(0, 0, kMixerDim);
  rows.copy_from(fold_temperature(rows, t));
  Tensor& bias = of(plain, "qkv.q.bias").master();
  bias.copy_from(fold_temperature(bias, t));
  const Tensor x = plain.input(2, 5);
  expect_close(plain.run(x, plain.context(2, 5)), with.run(x, with.context(2, 5)),
               tolerance(Dtype::kF64, 16, 4), "y");
}

TEST(FoldTemperature, MistakesAreNamed) {
  const Tensor rows = random_normal({6, 4}, "rows");
  EXPECT_THROW((void)fold_temperature(rows, random_normal({5, 2}, "table")), ShapeError);
  EXPECT_THROW((void)fold_temperature(rows, Tensor::full({4}, 1.0, Dtype::kF64)), ShapeError);
  EXPECT_THROW((void)fold_temperature(rows, Tensor::full({2}, 0.0, Dtype::kF64)), ConfigError);
}

}  // namespace
}  // namespace clausius::test
