// SPDX-License-Identifier: Apache-2.0
// The entropy regularizer in a model: gradients of everything it reaches, what it counts, its thresholds.
#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "autograd/tape.h"
#include "layers/models/decoder_lm.h"
#include "tests/support/toy_parameters.h"

namespace clausius {
namespace {

constexpr std::int64_t kRows = 2;
constexpr std::int64_t kLength = 6;

std::unique_ptr<DecoderLm> model_with(const std::string& regularizer) {
  DecoderLmConfig config;
  config.layers = 2;
  config.model_dim = 8;
  config.num_heads = 2;
  auto model = std::make_unique<DecoderLm>(
      config, ModelContext{.vocab_size = 11,
                           .context_length = kLength,
                           .seed = 3,
                           .master = Dtype::kF64,
                           .regularizers = {test::choice_of<Regularizer>(regularizer)}});
  model->parameters().allocate_gradients();
  return model;
}

// Documents of 4 and 2, and of 1 and 5 tokens.
Batch packed_batch() {
  Batch batch;
  batch.inputs_BT = Tensor::empty({kRows, kLength}, Dtype::kI32);
  batch.targets_BT = Tensor::empty({kRows, kLength}, Dtype::kI32);
  batch.positions_BT =
      Tensor::from(std::vector<std::int32_t>{0, 1, 2, 3, 0, 1, 0, 0, 1, 2, 3, 4}, {kRows, kLength});
  batch.cu_seqlens = Tensor::from(std::vector<std::int32_t>{0, 4, 6, 7, 12}, {5});
  batch.sample_ids_B = Tensor::from(std::vector<std::int64_t>{0, 1}, {kRows});
  for (std::int64_t i = 0; i < kRows * kLength; ++i) {
    batch.inputs_BT.data<std::int32_t>()[i] = static_cast<std::int32_t>((i * 7 + 1) % 11);
    batch.targets_BT.data<std::int32_t>()[i] = static_cast<std::int32_t>((i * 7 + 8) % 11);
  }
  batch.weight = static_cast<double>(kRows * kLength);
  return batch;
}

double sum_of(DecoderLm& model, const Batch& batch) {
  const NoGrad no_grad(model.parameters());
  return model.forward_loss(batch, {}).regularizer_sums.at(0).value().item();
}

// Entropies of freshly made models are ln 1 .. ln 5; the tolerance keeps the borders away from them.
TEST(EntropyRegularizer, EveryGradient) {
  for (const char* text :
       {"{kind: entropy, tolerance: 0.1}",
        "{kind: entropy, tolerance: 0.05, reduction: head_mean, skip_rows: 1}"}) {
    const auto model = model_with(text);
    ParameterStore& store = model->parameters();
    const Batch batch = packed_batch();
    // Larger than they start, so that attention is not uniform and every gradient is far from 0.
    for (Parameter& parameter : store.parameters()) {
      if (parameter.role() == Role::kMatrix || parameter.role() == Role::kEmbedding) {
        for (double& value : parameter.master().span<double>()) {
          value *= 10.0;
        }
      }
    }
    store.begin_step();
    {
      Tape tape;
      const ParameterStore::Bind bind(store, &tape);
      const ForwardLoss loss = model->forward_loss(batch, {.recompute = Recompute::kBlock});
      tape.backward(loss.regularizer_sums.at(0), Tensor::scalar(1.0, Dtype::kF64));
    }
    double largest = 0;
    for (Parameter& parameter : store.parameters()) {
      parameter.finish_gradient();
      for (std::int64_t i = 0; i < parameter.numel(); i += 1 + parameter.numel() / 7) {
        constexpr double kStep = 1e-6;
        double& value = store.master().data<double>()[parameter.offset() + i];
        const double saved = value;
        value = saved + kStep;
        const double high = sum_of(*model, batch);
        value = saved - kStep;
        const double low = sum_of(*model, batch);
        value = saved;
        const double got = store.gradients().data<double>()[parameter.offset() + i];
        largest = std::max(largest, std::abs(got));
        EXPECT_NEAR(got, (high - low) / (2 * kStep), 1e-7)
            << text << " " << parameter.path() << " element " << i;
      }
    }
    EXPECT_GT(largest, 1e-2);
  }
}

TEST(EntropyRegularizer, ThresholdsAreOnePerHeadAndLayer) {
  const auto model = model_with("{kind: entropy, threshold_init: 0.25}");
  for (const char* path :
       {"regularizers.entropy.threshold.0", "regularizers.entropy.threshold.1"}) {
    Parameter* threshold = model->parameters().find(path);
    ASSERT_NE(threshold, nullptr);
    EXPECT_EQ(threshold->role(), Role::kThreshold);
    EXPECT_EQ(threshold->shape(), Shape({2}));
    EXPECT_EQ(threshold->master().data<double>()[1], 0.25);
  }
  const auto fixed = model_with("{kind: entropy, learn_threshold: false}");
  EXPECT_EQ(fixed->parameters().find("regularizers.entropy.threshold.0"), nullptr);
}

TEST(EntropyRegularizer, CountsTheRowsOfDocuments) {
  const auto count = [](const std::string& knobs, const Batch& batch) {
    const auto model = model_with("{kind: entropy, " + knobs + "}");
    return model->regularizers().at(0)->count(batch);
  };
  const Batch packed = packed_batch();
  Batch whole = packed;
  whole.cu_seqlens = Tensor();
  EXPECT_EQ(count("skip_rows: 0", packed), 12);
  EXPECT_EQ(count("skip_rows: 2", packed), 2 + 0 + 0 + 3);
  EXPECT_EQ(count("skip_rows: 2", whole), 8);
  EXPECT_EQ(count("skip_rows: 4, reduction: head_mean", packed), 1) << "the first row has none";
  EXPECT_EQ(count("reduction: head_mean", packed), 2);
}

}  // namespace
}  // namespace clausius
