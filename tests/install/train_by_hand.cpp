// SPDX-License-Identifier: Apache-2.0
// A training loop of one's own: a recipe's model, data and optimizer, one step at a time, every head's entropy in view.
#include <cstdio>
#include <memory>

#include "autograd/tape.h"
#include "train/generation.h"
#include "train/monitor/attention_entropy.h"
#include "train/recipe.h"

namespace cls = clausius;

namespace {

constexpr const char* kRecipe = R"(
data: {kind: text, train: text.txt, documents: blank_line, context_length: 64}
model: {kind: decoder_lm, layers: 2, model_dim: 64, num_heads: 4}
optimizer: {kind: adamw, lr: 3.0e-3}
train: {steps: 60, batch_samples: 16}
)";

void train(const cls::Recipe& recipe, cls::Model& model, const cls::SampleSequence& samples) {
  cls::ParameterStore& parameters = model.parameters();
  parameters.allocate_gradients();
  const std::unique_ptr<cls::Optimizer> optimizer = recipe.optimizer.make(parameters);
  cls::EntropyTotals entropy(model.heads_per_layer());
  for (std::int64_t step = 1; step <= *recipe.train.steps; ++step) {
    const std::int64_t rows = *recipe.train.batch_samples;
    const cls::Batch batch = samples.read((step - 1) * rows, rows);
    cls::Tape tape;
    const cls::ParameterStore::Bind on_tape(parameters, &tape);
    cls::Telemetry telemetry;
    parameters.begin_step();
    const cls::ForwardLoss forward =
        model.forward_loss(batch, {.phase = cls::Phase::kTrain, .telemetry = &telemetry});
    tape.backward(forward.loss_sum, cls::Tensor::scalar(1.0 / batch.weight));
    (void)optimizer->step({.lr = optimizer->peak_lr(), .step = step});
    if (step % 10 == 0) {
      entropy.reset();
      entropy.add(telemetry);
      std::printf("step %3ld  loss %.3f  entropy of layer 1, head 0: %.3f nats\n", step,
                  forward.loss_sum.value().item() / batch.weight,
                  entropy.report()[1][0].entropy_nats);
    }
  }
}

}  // namespace

// Argument: a text file to learn.
int main(int argc, char** argv) try {
  const std::string file = argc > 1 ? argv[1] : "text.txt";
  cls::Recipe recipe = cls::parse_recipe(kRecipe, "by_hand", ".", {"data.train=" + file});
  const std::unique_ptr<cls::Dataset> data = recipe.data.make(cls::DataContext{});
  recipe.tokenizer_vocab_size = data->facts().vocab_size;
  const std::unique_ptr<cls::Model> model = recipe.model.make(recipe.model_context());
  train(recipe, *model, data->train());
  auto& language = dynamic_cast<cls::LanguageModel&>(*model);
  const auto tokens = cls::generate(language, data->tokenizer()->encode("The "),
                                    {.max_tokens = 60, .temperature = 0.0});
  std::printf("The %s\n", data->tokenizer()->decode(tokens).c_str());
} catch (const cls::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return static_cast<int>(error.exit_code());
}
