// SPDX-License-Identifier: Apache-2.0
// decoder_lm: gradients of every parameter, recomputation, generation against the full forward pass, telemetry.
#include "layers/models/decoder_lm.h"

#include <cmath>

#include <gtest/gtest.h>

#include "autograd/gradcheck.h"
#include "autograd/tape.h"
#include "tests/support/op_case.h"

namespace clausius {
namespace {

// Central differences: truncation about (kStep / weight)^2 with weights of size 0.02, rounding about 1e-15 * loss / kStep.
constexpr double kStep = 1e-6;
constexpr double kTolerance = 5e-8;

DecoderLmConfig tiny_config() {
  DecoderLmConfig config;
  config.layers = 2;
  config.model_dim = 8;
  config.num_heads = 2;
  config.vocab_size = 11;
  config.context_length = 6;
  return config;
}

Tensor tokens_like(std::int64_t batch, std::int64_t length, std::int32_t shift) {
  Tensor tokens = Tensor::empty({batch, length}, Dtype::kI32);
  for (std::int64_t i = 0; i < tokens.numel(); ++i) {
    tokens.data<std::int32_t>()[i] = static_cast<std::int32_t>((i * 7 + shift) % 11);
  }
  return tokens;
}

Batch tiny_batch(std::int64_t rows = 2, std::int64_t length = 5) {
  Batch batch;
  batch.inputs_BT = tokens_like(rows, length, 1);
  batch.targets_BT = tokens_like(rows, length, 8);
  batch.targets_BT.data<std::int32_t>()[2] = kIgnoredTarget;
  batch.positions_BT = Tensor::empty({rows, length}, Dtype::kI32);
  batch.sample_ids_B = Tensor::empty({rows}, Dtype::kI64);
  for (std::int64_t i = 0; i < rows * length; ++i) {
    batch.positions_BT.data<std::int32_t>()[i] = static_cast<std::int32_t>(i % length);
  }
  for (std::int64_t i = 0; i < rows; ++i) {
    batch.sample_ids_B.data<std::int64_t>()[i] = i;
  }
  batch.weight = static_cast<double>(rows * length - 1);
  return batch;
}

ModelContext f64_context() {
  return {.vocab_size = 11, .context_length = 6, .seed = 3, .master = Dtype::kF64};
}

double loss_of(Model& model, const Batch& batch, const ForwardOptions& options) {
  const NoGrad no_grad(model.parameters());
  return model.forward_loss(batch, options).loss_sum.value().item();
}

// The gradient buffer after one backward of loss + 0.3 * (sum of entropies of every layer).
Tensor gradients_of(Model& model, const Batch& batch, ForwardOptions options) {
  ParameterStore& store = model.parameters();
  store.begin_step();
  Tape tape;
  const ParameterStore::Bind bind(store, &tape);
  Telemetry telemetry;
  options.telemetry = &telemetry;
  const ForwardLoss loss = model.forward_loss(batch, options);
  std::vector<Tape::Seed> seeds = {{loss.loss_sum, Tensor::scalar(1.0, loss.loss_sum.dtype())}};
  for (const AttentionObservation& observation : telemetry.attention()) {
    seeds.push_back({observation.entropy_BHT, Tensor::full(observation.entropy_BHT.shape(), 0.3,
                                                           observation.entropy_BHT.dtype())});
  }
  tape.backward(seeds);
  return store.gradients();
}

double objective_of(Model& model, const Batch& batch, ForwardOptions options) {
  const NoGrad no_grad(model.parameters());
  Telemetry telemetry;
  options.telemetry = &telemetry;
  double total = model.forward_loss(batch, options).loss_sum.value().item();
  for (const AttentionObservation& observation : telemetry.attention()) {
    const Tensor entropy = observation.entropy_BHT.value().contiguous();
    for (const double value : entropy.span<double>()) {
      total += 0.3 * value;
    }
  }
  return total;
}

void check_every_parameter(const DecoderLmConfig& config, const ForwardOptions& options) {
  DecoderLm model(config, f64_context());
  model.parameters().allocate_gradients();
  const Batch batch = tiny_batch();
  const Tensor gradients = gradients_of(model, batch, options).clone();
  for (Parameter& parameter : model.parameters().parameters()) {
    for (std::int64_t i = 0; i < parameter.numel(); i += 1 + parameter.numel() / 5) {
      double& value = model.parameters().master().data<double>()[parameter.offset() + i];
      const double saved = value;
      value = saved + kStep;
      const double high = objective_of(model, batch, options);
      value = saved - kStep;
      const double low = objective_of(model, batch, options);
      value = saved;
      EXPECT_NEAR(gradients.span<double>()[static_cast<std::size_t>(parameter.offset() + i)],
                  (high - low) / (2 * kStep), kTolerance)
          << parameter.path() << " element " << i;
    }
  }
}

TEST(DecoderLm, EveryGradientLlamaShaped) {
  DecoderLmConfig config = tiny_config();
  config.num_kv_heads = 1;
  check_every_parameter(config, {});
}

TEST(DecoderLm, EveryGradientGpt2Shaped) {
  DecoderLmConfig config = tiny_config();
  config.bias = true;
  config.norm = Pattern<Norm>("layer_norm");
  config.position = Pattern<Position>("learned");
  config.feed_forward = Pattern<FeedForward>("mlp");
  config.tie_embeddings = false;
  check_every_parameter(config, {});
}

TEST(DecoderLm, EveryGradientWithDropoutAndRecompute) {
  DecoderLmConfig config = tiny_config();
  config.dropout = 0.3;
  check_every_parameter(config, {.seed = 5, .step = 4, .recompute = Recompute::kBlock});
}

TEST(DecoderLm, RecomputeIsBitEqual) {
  DecoderLmConfig config = tiny_config();
  config.dropout = 0.1;
  DecoderLm model(config, {.vocab_size = 11, .context_length = 6, .seed = 3});
  model.parameters().allocate_gradients();
  const Tensor plain = gradients_of(model, tiny_batch(), {.seed = 1, .step = 2}).clone();
  const Tensor again =
      gradients_of(model, tiny_batch(), {.seed = 1, .step = 2, .recompute = Recompute::kBlock});
  test::expect_bits_equal(again, plain, "gradients");
}

TEST(DecoderLm, DropoutChangesWithTheStepOnly) {
  DecoderLmConfig config = tiny_config();
  config.dropout = 0.5;
  DecoderLm model(config, f64_context());
  const Batch batch = tiny_batch();
  const double first = loss_of(model, batch, {.seed = 1, .step = 1});
  EXPECT_EQ(first, loss_of(model, batch, {.seed = 1, .step = 1}));
  EXPECT_NE(first, loss_of(model, batch, {.seed = 1, .step = 2}));
  EXPECT_NE(first, loss_of(model, batch, {.seed = 2, .step = 1}));
}

TEST(DecoderLm, AddingALayerChangesNoOtherStart) {
  DecoderLmConfig config = tiny_config();
  DecoderLm two(config, f64_context());
  config.layers = 3;
  DecoderLm three(config, f64_context());
  for (Parameter& parameter : two.parameters().parameters()) {
    Parameter* other = three.parameters().find(parameter.path());
    ASSERT_NE(other, nullptr) << parameter.path();
    test::expect_bits_equal(parameter.master(), other->master(), parameter.path());
  }
}

TEST(DecoderLm, GenerationMatchesTheFullPass) {
  for (const char* position : {"rope", "learned"}) {
    DecoderLmConfig config = tiny_config();
    config.num_kv_heads = 1;
    config.position = Pattern<Position>(position);
    DecoderLm model(config, f64_context());
    const Tensor tokens = tokens_like(2, 6, 3);
    const Tensor all = model.logits(tokens);
    const auto state = model.start(2, 6);
    test::expect_close(model.next_logits(tokens.slice(1, 0, 3), *state), all.select(1, 2), 1e-12,
                       "prefill");
    test::expect_close(model.next_logits(tokens.slice(1, 3, 4), *state), all.select(1, 3), 1e-12,
                       "one token");
    test::expect_close(model.next_logits(tokens.slice(1, 4, 6), *state), all.select(1, 5), 1e-12,
                       "two tokens");
    EXPECT_EQ(state->length(), 6);
  }
}

TEST(DecoderLm, PackedDocumentsDoNotSeeEachOther) {
  DecoderLm model(tiny_config(), f64_context());
  Batch batch = tiny_batch(1, 6);
  batch.cu_seqlens = Tensor::from(std::vector<std::int32_t>{0, 2, 6}, {3});
  batch.positions_BT = Tensor::from(std::vector<std::int32_t>{0, 1, 0, 1, 2, 3}, {1, 6});
  const auto last_losses = [&] {
    const NoGrad no_grad(model.parameters());
    return model.forward_loss(batch, {.phase = Phase::kEvaluate})
        .token_loss_N.slice(0, 3, 6)
        .clone();
  };
  const Tensor before = last_losses();
  batch.inputs_BT.data<std::int32_t>()[0] = 9;
  batch.inputs_BT.data<std::int32_t>()[1] = 4;
  test::expect_bits_equal(last_losses(), before, "losses of document 2");
}

TEST(DecoderLm, TelemetryReportsEveryHead) {
  DecoderLm model(tiny_config(), f64_context());
  const NoGrad no_grad(model.parameters());
  Telemetry telemetry;
  (void)model.forward_loss(tiny_batch(), {.telemetry = &telemetry});
  ASSERT_EQ(telemetry.attention().size(), 2U);
  for (const AttentionObservation& observation : telemetry.attention()) {
    const Tensor entropy = observation.entropy_BHT.value();
    EXPECT_EQ(entropy.shape(), (Shape{2, 2, 5}));
    for (std::int64_t t = 0; t < 5; ++t) {
      const double value = entropy.select(0, 0).select(0, 1).select(0, t).item();
      EXPECT_GE(value, 0.0);
      EXPECT_LE(value, std::log(static_cast<double>(t + 1)) + 1e-12);
      EXPECT_EQ(observation.outcomes_BT.select(0, 1).select(0, t).item(),
                static_cast<double>(t + 1));
    }
  }
}

}  // namespace
}  // namespace clausius
