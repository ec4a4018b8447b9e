// SPDX-License-Identifier: Apache-2.0
// The tiny model and its batches.
#include "tests/train/tiny_model.h"

#include "core/config_file.h"
#include "core/error.h"
#include "core/random.h"

namespace clausius::test {

std::unique_ptr<DecoderLm> make_tiny_model(Dtype master,
                                           Device device,
                                           std::int64_t shares,
                                           const std::vector<Choice<Regularizer>>& regularizers,
                                           const std::string& mixer,
                                           Dtype compute,
                                           const Choice<Reparam>& reparam) {
  DecoderLmConfig config;
  config.layers = 2;
  config.model_dim = 8;
  config.num_heads = 2;
  config.linear.reparam = reparam;
  const PerLayer<LayerShape> per_layer{config.layers, config.layer_shape(0, {})};
  ReadLog log;
  read_config(parse_config(mixer, std::make_shared<const ConfigSource>()), config.mixer, log,
              per_layer);
  auto model = std::make_unique<DecoderLm>(config, ModelContext{.vocab_size = kTinyVocab,
                                                                .context_length = kTinyLength,
                                                                .seed = 5,
                                                                .compute = compute,
                                                                .master = master,
                                                                .device = device,
                                                                .parameter_shares = shares,
                                                                .regularizers = regularizers});
  model->parameters().allocate_gradients();
  return model;
}

Batch tiny_batch(std::int64_t first, std::int64_t count) {
  Batch batch{.inputs_BT = Tensor::empty({count, kTinyLength}, Dtype::kI32),
              .targets_BT = Tensor::empty({count, kTinyLength}, Dtype::kI32),
              .positions_BT = Tensor::empty({count, kTinyLength}, Dtype::kI32)};
  batch.sample_ids_B = Tensor::empty({count}, Dtype::kI64);
  for (std::int64_t row = 0; row < count; ++row) {
    const RandomStream tokens{.seed = 9, .sample = static_cast<std::uint32_t>(first + row)};
    const auto token = [&](std::int64_t t) {
      return static_cast<std::int32_t>(tokens.below(kTinyVocab, static_cast<std::uint32_t>(t)));
    };
    for (std::int64_t t = 0; t < kTinyLength; ++t) {
      const std::int64_t at = row * kTinyLength + t;
      const bool ignored = ((first + row) * kTinyLength + t) % 5 == 0;
      batch.inputs_BT.data<std::int32_t>()[at] = token(t);
      batch.targets_BT.data<std::int32_t>()[at] = ignored ? kIgnoredTarget : token(t + 1);
      batch.positions_BT.data<std::int32_t>()[at] = static_cast<std::int32_t>(t);
      batch.weight += ignored ? 0.0 : 1.0;
    }
    batch.sample_ids_B.data<std::int64_t>()[row] = first + row;
  }
  batch.target_bytes = 2.0 * batch.weight;
  return batch;
}

LoadedStep tiny_step(const std::vector<std::int64_t>& sizes) {
  LoadedStep step;
  for (const std::int64_t size : sizes) {
    step.micro_batches.push_back(tiny_batch(step.samples, size));
    step.samples += size;
    step.weight += step.micro_batches.back().weight;
  }
  return step;
}

Batch TinySequence::read(std::int64_t first, std::int64_t count) const {
  CLS_CHECK(first >= 0 && first + count <= size_, InternalError, "rows [", first, ", ",
            first + count, ") of ", size_);
  for (std::int64_t row = first; row < first + count; ++row) {
    rows_read_.push_back(row);
  }
  return tiny_batch(first, count);
}

}  // namespace clausius::test
