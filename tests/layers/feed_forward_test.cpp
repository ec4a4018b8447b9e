// SPDX-License-Identifier: Apache-2.0
// Every feed-forward with its knobs: gradients, recomputation, generation, bf16, names, the guard, what equals what.
#include "layers/feed_forward/feed_forward.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "optim/param_groups.h"
#include "tests/layers/tiny_decoder.h"
#include "tests/support/cuda_test.h"
#include "tests/support/op_case.h"

namespace clausius::test {
namespace {

struct Knob {
  std::string name;
  std::string keys;
};
void PrintTo(const Knob& knob, std::ostream* out) {  // NOLINT: GoogleTest's name
  *out << knob.name;
}

std::vector<Knob> knobs() {
  const std::string scale = "scale: {kind: learned, alpha_init: 1.6, beta_init: 0.8}";
  const std::string divisor =
      "scale: {kind: learned, alpha_init: 1.6, beta_init: 0.8, parametrization: divisor}";
  const auto feed_forward = [](const std::string& keys) { return "feed_forward: " + keys; };
  return {
      {"linear", feed_forward("linear")},
      {"linear_bias", feed_forward("{kind: linear, bias: true}")},
      {"linear_scaled", feed_forward("{kind: linear, " + scale + "}")},
      {"linear_divided", feed_forward("{kind: linear, " + divisor + "}")},
      {"swiglu_scaled", feed_forward("{kind: swiglu, " + scale + "}")},
      {"mlp_scaled", feed_forward("{kind: mlp, " + scale + "}")},
      {"post_norm_scaled",
       feed_forward("{kind: mlp, " + scale + "}\nnorm: {kind: rms_norm, place: post}")},
      {"identity", feed_forward("{kind: mlp, activation: identity}")},
      {"leaky", feed_forward("{kind: mlp, activation: leaky_relu}")},
      {"slope_per_layer",
       feed_forward("{kind: mlp, activation: {kind: leaky_relu, slope_init: 0.2, "
                    "learn_slope: per_layer}}")},
      {"slope_for_all",
       feed_forward(
           "{kind: mlp, activation: {kind: leaky_relu, slope_init: 0.2, learn_slope: global}}")},
      {"no_norm", feed_forward("{kind: linear, " + scale + "}\nnorm: none")},
      {"drop_last", feed_forward("[{kind: linear, " + scale + "}, none]\nnorm: none")},
  };
}

class FeedForwardKnob : public ::testing::TestWithParam<Knob> {};
INSTANTIATE_TEST_SUITE_P(FeedForwardKnobs,
                         FeedForwardKnob,
                         ::testing::ValuesIn(knobs()),
                         [](const auto& knob) { return knob.param.name; });

TEST_P(FeedForwardKnob, EveryGradient) {
  const auto model = tiny_decoder(GetParam().keys);
  expect_exact_gradients(*model, GetParam().name);
  for (Parameter& parameter : model->parameters().parameters()) {
    double largest = 0;
    for (const double value : parameter.gradient().contiguous().span<double>()) {
      largest = std::max(largest, std::abs(value));
    }
    EXPECT_GT(largest, 1e-6) << parameter.path();
  }
}

TEST_P(FeedForwardKnob, RecomputationIsBitEqual) {
  const auto model = tiny_decoder(GetParam().keys, {.master = Dtype::kF32});
  const Tensor plain = loss_gradients(*model, decoder_batch());
  expect_bits_equal(loss_gradients(*model, decoder_batch(), Recompute::kBlock), plain, "gradients");
}

TEST_P(FeedForwardKnob, GenerationMatchesTheFullPass) {
  const auto model = tiny_decoder(GetParam().keys);
  const Tensor tokens = decoder_batch().inputs_BT;
  const Tensor all = model->logits(tokens);
  const auto state = model->start(2, kDecoderLength);
  const double limit = tolerance(Dtype::kF64, 16, 12);
  expect_close(model->next_logits(tokens.slice(1, 0, 3), *state), all.select(1, 2), limit,
               "prefill");
  expect_close(model->next_logits(tokens.slice(1, 3, 5), *state), all.select(1, 4), limit,
               "decode");
}

TEST_P(FeedForwardKnob, Bf16FollowsF32) {
  const auto narrow =
      tiny_decoder(GetParam().keys, {.master = Dtype::kF32, .compute = Dtype::kBf16});
  const auto wide = tiny_decoder(GetParam().keys, {.master = Dtype::kF32});
  for (DecoderLm* model : {narrow.get(), wide.get()}) {
    Tensor& master = model->parameters().master();
    master.copy_from(master.to(Dtype::kBf16).to(Dtype::kF32));
    model->parameters().refresh_compute_copy();
  }
  // About ten roundings a block on the way up, and as many down.
  const double want = loss_of(*wide, decoder_batch());
  EXPECT_NEAR(loss_of(*narrow, decoder_batch()), want, want * tolerance(Dtype::kBf16, 8, 20));
  expect_close(loss_gradients(*narrow, decoder_batch()), loss_gradients(*wide, decoder_batch()),
               tolerance(Dtype::kBf16, 8, 40), "gradients");
}

class CudaFeedForwardKnob : public OnCuda<::testing::TestWithParam<Knob>> {};
INSTANTIATE_TEST_SUITE_P(CudaFeedForwardKnobs,
                         CudaFeedForwardKnob,
                         ::testing::ValuesIn(knobs()),
                         [](const auto& knob) { return knob.param.name; });

TEST_P(CudaFeedForwardKnob, EqualsTheHost) {
  const auto host = tiny_decoder(GetParam().keys, {.master = Dtype::kF32});
  const auto device = tiny_decoder(GetParam().keys, {.master = Dtype::kF32, .device = kCuda});
  const double limit = tolerance(Dtype::kF32, 64, 40);
  const double want = loss_of(*host, decoder_batch());
  EXPECT_NEAR(loss_of(*device, decoder_batch()), want, limit * want);
  expect_close(loss_gradients(*device, decoder_batch()), loss_gradients(*host, decoder_batch()),
               limit, "gradients");
}

TEST(FeedForwardScale, OnesArePlainResidualsBitForBit) {
  for (const DecoderTypes& types :
       {DecoderTypes{.master = Dtype::kF32},
        DecoderTypes{.master = Dtype::kF32, .compute = Dtype::kBf16}, DecoderTypes{}}) {
    for (const char* kind : {"linear", "mlp", "swiglu"}) {
      for (const char* parametrization : {"gain", "divisor"}) {
        const auto plain = tiny_decoder(concat("feed_forward: ", kind), types);
        const auto scaled = tiny_decoder(
            concat("feed_forward: {kind: ", kind,
                   ", scale: {kind: learned, parametrization: ", parametrization, "}}"),
            types);
        expect_bits_equal(scaled->logits(decoder_batch().inputs_BT),
                          plain->logits(decoder_batch().inputs_BT), kind);
        (void)loss_gradients(*scaled, decoder_batch());
        (void)loss_gradients(*plain, decoder_batch());
        for (Parameter& parameter : plain->parameters().parameters()) {
          expect_bits_equal(scaled->parameters().find(parameter.path())->gradient(),
                            parameter.gradient(), parameter.path());
        }
      }
    }
  }
}

TEST(FeedForwardScale, NamesRolesAndNoDecay) {
  const auto model = tiny_decoder(
      "feed_forward: [{kind: linear, scale: {kind: learned, alpha_init: 4.0}},\n"
      "  {kind: mlp, scale: {kind: learned, alpha_init: 4.0, beta_init: 0.5, parametrization: "
      "divisor},\n"
      "   activation: {kind: leaky_relu, learn_slope: per_layer}}]");
  ParameterStore& store = model->parameters();
  const std::vector<std::tuple<const char*, Role, double>> table = {
      {"blocks.0.feed_forward.scale.gain", Role::kScale, 0.25},
      {"blocks.0.feed_forward.scale.beta", Role::kScale, 1.0},
      {"blocks.1.feed_forward.scale.alpha", Role::kScale, 4.0},
      {"blocks.1.feed_forward.scale.beta", Role::kScale, 0.5},
      {"blocks.1.feed_forward.slope", Role::kSlope, 0.01}};
  const std::vector<UpdateRange> ranges = update_ranges(store, {}, 0.1);
  for (const auto& [path, role, start] : table) {
    Parameter* parameter = store.find(path);
    ASSERT_NE(parameter, nullptr) << path;
    EXPECT_EQ(parameter->role(), role);
    EXPECT_EQ(parameter->master().item(), start);
    for (const UpdateRange& range : ranges) {
      if (range.begin <= parameter->offset() && parameter->offset() < range.end) {
        EXPECT_EQ(range.weight_decay, 0.0) << path;
      }
    }
  }
  EXPECT_NE(store.find("blocks.0.feed_forward.map.weight"), nullptr);
  EXPECT_EQ(store.find("blocks.0.feed_forward.map.bias"), nullptr);
}

TEST(FeedForwardScale, ADivisorNearZeroNamesTheLayer) {
  const auto model = tiny_decoder(
      "feed_forward: {kind: linear, scale: {kind: learned, parametrization: divisor}}");
  Tensor alpha = model->parameters().find("blocks.1.feed_forward.scale.alpha")->master();
  for (const double allowed : {1.1e-3, -1.1e-3, 7.0}) {
    alpha.fill(allowed);
    EXPECT_TRUE(std::isfinite(loss_of(*model, decoder_batch()))) << allowed;
  }
  for (const double refused : {0.9e-3, 0.0, -0.9e-3}) {
    alpha.fill(refused);
    try {
      (void)loss_of(*model, decoder_batch());
      ADD_FAILURE() << refused;
    } catch (const GuardError& error) {
      EXPECT_THAT(error.what(),
                  testing::HasSubstr("layer 1: feed_forward.scale divides by alpha = "));
    }
  }
}

// beta x + FFN(x) / alpha by its definition, in a model of one block without attention's help: the gain and the divisor agree.
TEST(FeedForwardScale, BothParametrizationsAreTheSameFunction) {
  const auto with = [](const char* parametrization) {
    return tiny_decoder(
        concat("feed_forward: {kind: mlp, scale: {kind: learned, alpha_init: 2.5, "
               "beta_init: 0.7, parametrization: ",
               parametrization, "}}"));
  };
  const auto gain = with("gain");
  const auto divisor = with("divisor");
  const Tensor tokens = decoder_batch().inputs_BT;
  expect_close(gain->logits(tokens), divisor->logits(tokens), tolerance(Dtype::kF64, 16, 4),
               "logits");
  const double g =
      loss_gradients(*gain, decoder_batch())
          .data<double>()[gain->parameters().find("blocks.0.feed_forward.scale.gain")->offset()];
  const double a =
      loss_gradients(*divisor, decoder_batch())
          .data<
              double>()[divisor->parameters().find("blocks.0.feed_forward.scale.alpha")->offset()];
  EXPECT_NEAR(a, -g / (2.5 * 2.5), 1e-12 * std::abs(g));
}

TEST(FeedForwardSlope, OfAllLayersIsOneParameter) {
  const std::string keys =
      "feed_forward: {kind: mlp, activation: {kind: leaky_relu, slope_init: 0.3, learn_slope: ";
  const auto one = tiny_decoder(keys + "global}}");
  const auto each = tiny_decoder(keys + "per_layer}}");
  EXPECT_EQ(one->parameters().find("feed_forward.slope")->master().item(), 0.3);
  EXPECT_EQ(one->parameters().num_parameters() + 1, each->parameters().num_parameters());
  const Tensor shared = loss_gradients(*one, decoder_batch());
  const Tensor apart = loss_gradients(*each, decoder_batch());
  const auto at = [](DecoderLm& model, const Tensor& gradients, const char* path) {
    return gradients.data<double>()[model.parameters().find(path)->offset()];
  };
  EXPECT_NEAR(at(*one, shared, "feed_forward.slope"),
              at(*each, apart, "blocks.0.feed_forward.slope") +
                  at(*each, apart, "blocks.1.feed_forward.slope"),
              1e-13);
}

TEST(FeedForwardSlope, AFixedOneIsNoParameter) {
  const auto model = tiny_decoder("feed_forward: {kind: mlp, activation: leaky_relu}");
  const auto relu = tiny_decoder("feed_forward: {kind: mlp, activation: relu}");
  EXPECT_EQ(model->parameters().num_parameters(), relu->parameters().num_parameters());
}

// ScFuFFN_iK: the last feed-forwards dropped by a pattern.
TEST(FeedForwardPattern, EndsWithLayersThatHaveNone) {
  const auto model = tiny_decoder(
      "layers: 4\nfeed_forward: [{kind: linear, scale: learned, repeat: rest}, {kind: none, "
      "repeat: 2}]");
  for (const auto& [layer, present] : {std::pair(0, true), {1, true}, {2, false}, {3, false}}) {
    for (const char* part :
         {"feed_forward.map.weight", "feed_forward.scale.beta", "feed_forward_norm.gain"}) {
      EXPECT_EQ(model->parameters().find(concat("blocks.", layer, ".", part)) != nullptr, present)
          << layer << " " << part;
    }
  }
}

TEST(FeedForwardRecipe, RefusesInWords) {
  const auto answer = [](const std::string& keys) -> std::string {
    try {
      (void)tiny_decoder(keys);
      return "accepted";
    } catch (const ConfigError& error) {
      return error.what();
    }
  };
  EXPECT_THAT(
      answer("residual: false\nfeed_forward: {kind: linear, scale: learned}"),
      testing::HasSubstr("scale: learned multiplies the residual, and model.residual is false"));
  EXPECT_THAT(answer("feed_forward: {kind: linear, hidden_dim: 4}"),
              testing::HasSubstr("'hidden_dim' is a key of"));
  EXPECT_THAT(answer("feed_forward: {kind: none, scale: learned}"), testing::HasSubstr("scale"));
  EXPECT_THAT(
      answer(
          "feed_forward: [{kind: mlp, activation: {kind: leaky_relu, learn_slope: global}}, {kind: "
          "mlp, activation: {kind: leaky_relu, learn_slope: global, slope_init: 0.5}}]"),
      testing::HasSubstr("one slope for all layers starts at 0.01 or at 0.5, not at both"));
  EXPECT_THAT(answer("feed_forward: {kind: mlp, activation: {kind: gelu, slope_init: 0.1}}"),
              testing::HasSubstr("'slope_init' is a key of leaky_relu, not of gelu"));
}

}  // namespace
}  // namespace clausius::test
