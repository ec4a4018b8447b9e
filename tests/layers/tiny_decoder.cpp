// SPDX-License-Identifier: Apache-2.0
// The small decoder.
#include "tests/layers/tiny_decoder.h"

#include <cmath>

#include <gtest/gtest.h>

#include "autograd/tape.h"
#include "tests/support/toy_parameters.h"

namespace clausius::test {

std::unique_ptr<DecoderLm> tiny_decoder(const std::string& keys,
                                        const DecoderTypes& types,
                                        const std::vector<Choice<Regularizer>>& regularizers) {
  const ModelContext context{.vocab_size = kDecoderVocab,
                             .context_length = kDecoderLength,
                             .seed = 3,
                             .compute = types.compute,
                             .master = types.master,
                             .device = types.device,
                             .regularizers = regularizers};
  const std::string layers = keys.find("layers:") == std::string::npos ? "layers: 2\n" : "";
  const Choice<Model> choice = choice_of<Model>(
      "kind: decoder_lm\nmodel_dim: 8\nnum_heads: 2\ninit: {kind: normal, std: 0.3}\n" + layers +
          keys + "\n",
      context);
  std::unique_ptr<Model> model = choice.make(context);
  auto decoder = std::unique_ptr<DecoderLm>(dynamic_cast<DecoderLm*>(model.release()));
  decoder->parameters().allocate_gradients();
  return decoder;
}

Batch decoder_batch() {
  constexpr std::int64_t kRows = 2;
  constexpr std::int64_t kLength = 5;
  Batch batch;
  batch.inputs_BT = Tensor::empty({kRows, kLength}, Dtype::kI32);
  batch.targets_BT = Tensor::empty({kRows, kLength}, Dtype::kI32);
  batch.positions_BT = Tensor::empty({kRows, kLength}, Dtype::kI32);
  batch.sample_ids_B = Tensor::from(std::vector<std::int64_t>{0, 1}, {kRows});
  for (std::int64_t i = 0; i < kRows * kLength; ++i) {
    batch.inputs_BT.data<std::int32_t>()[i] =
        static_cast<std::int32_t>((i * 7 + 1) % kDecoderVocab);
    batch.targets_BT.data<std::int32_t>()[i] =
        static_cast<std::int32_t>((i * 7 + 8) % kDecoderVocab);
    batch.positions_BT.data<std::int32_t>()[i] = static_cast<std::int32_t>(i % kLength);
  }
  batch.targets_BT.data<std::int32_t>()[2] = kIgnoredTarget;
  batch.weight = static_cast<double>(kRows * kLength - 1);
  return batch;
}

double loss_of(DecoderLm& model, const Batch& batch) {
  const NoGrad no_grad(model.parameters());
  return model.forward_loss(batch, {}).loss_sum.value().item();
}

Tensor loss_gradients(DecoderLm& model, const Batch& batch, Recompute recompute) {
  ParameterStore& store = model.parameters();
  store.begin_step();
  Tape tape;
  const ParameterStore::Bind bind(store, &tape);
  const ForwardLoss loss = model.forward_loss(batch, {.recompute = recompute});
  tape.backward(loss.loss_sum,
                Tensor::scalar(1.0, loss.loss_sum.dtype(), loss.loss_sum.value().device()));
  for (Parameter& parameter : store.parameters()) {
    parameter.finish_gradient();
  }
  return store.gradients().to(kCpu).clone();
}

void expect_exact_gradients(DecoderLm& model, const std::string& what) {
  // Truncation about kStep^2 times the third derivative, up to 1e3; rounding about 1e-15 of a loss of 30, over the step.
  constexpr double kStep = 1e-5;
  constexpr double kTolerance = 2e-7;
  const Batch batch = decoder_batch();
  const Tensor gradients = loss_gradients(model, batch);
  for (Parameter& parameter : model.parameters().parameters()) {
    for (std::int64_t i = 0; i < parameter.numel(); i += 1 + parameter.numel() / 5) {
      double& value = model.parameters().master().data<double>()[parameter.offset() + i];
      const double saved = value;
      value = saved + kStep;
      const double high = loss_of(model, batch);
      value = saved - kStep;
      const double low = loss_of(model, batch);
      value = saved;
      const double got = gradients.data<double>()[parameter.offset() + i];
      EXPECT_NEAR(got, (high - low) / (2 * kStep), kTolerance * (1 + std::abs(got)))
          << what << ": " << parameter.path() << " element " << i;
    }
  }
}

}  // namespace clausius::test
