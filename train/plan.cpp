// SPDX-License-Identifier: Apache-2.0
// Plans by dry run.
#include "train/plan.h"

#include <filesystem>
#include <iterator>
#include <memory>

#include "autograd/tape.h"
#include "core/allocator.h"
#include "core/checked.h"
#include "core/dry_run.h"
#include "core/ops/lm_head_cross_entropy/lm_head_cross_entropy.h"
#include "train/machine.h"
#include "train/synthetic_batch.h"

namespace clausius {
namespace {

std::int64_t used_bytes() {
  return static_cast<std::int64_t>(allocator(kCpu).stats().used_bytes);
}

std::int64_t peak_bytes() {
  return static_cast<std::int64_t>(allocator(kCpu).stats().peak_bytes);
}

std::int64_t bytes_of(const Batch& batch) {
  std::int64_t bytes = 0;
  for (const Tensor* tensor :
       {&batch.inputs_BT, &batch.targets_BT, &batch.positions_BT, &batch.sample_ids_B}) {
    bytes += static_cast<std::int64_t>(tensor->bytes());
  }
  return bytes;
}

DataFacts open_facts(const Recipe& recipe) {
  const DataContext context{.seed = static_cast<std::uint64_t>(recipe.seed),
                            .cache_folder = std::filesystem::temp_directory_path()};
  return recipe.data.make(context)->facts();
}

std::int64_t vocab_size_of(Model& model) {
  const auto* language = dynamic_cast<const LanguageModel*>(&model);
  return language != nullptr ? language->vocab_size() : 0;
}

// The vocabulary decides the shape of the model; where the recipe leaves it to the data, they are opened.
DataFacts data_facts(const Recipe& recipe) {
  const DataTraits traits = recipe.data.facts();
  DataFacts facts{.vocab_size = traits.vocab_size, .context_length = traits.context_length};
  Recipe known = recipe;
  known.tokenizer_vocab_size = facts.vocab_size;
  const DryRun dry;
  const bool open = vocab_size_of(*known.model.make(known.model_context())) == 0;
  return open ? open_facts(recipe) : facts;
}

// A micro-batch forward and backward, in a dry run; fills what it keeps and its peak.
void take_step(Model& model, const Batch& batch, MemoryPlan& memory) {
  const std::int64_t before = used_bytes();
  allocator(kCpu).reset_peak();
  Tape tape;
  const ParameterStore::Bind bind(model.parameters(), &tape);
  Telemetry telemetry;
  const ForwardLoss forward = model.forward_loss(
      batch,
      {.phase = Phase::kTrain, .step = 1, .recompute = memory.recompute, .telemetry = &telemetry});
  memory.activations = used_bytes() - before;
  const std::int64_t forward_peak = peak_bytes();
  tape.backward(forward.loss_sum, Tensor::scalar(1.0, forward.loss_sum.dtype()));
  memory.peak_in_forward = peak_bytes() == forward_peak;
  memory.working = peak_bytes() - before - memory.activations;
}

MemoryPlan plan_memory(const Recipe& recipe, const RunPlan& run, Recompute recompute) {
  const DryRun dry;
  MemoryPlan memory{.recompute = recompute};
  const std::int64_t start = used_bytes();
  const std::unique_ptr<Model> model = recipe.model.make(recipe.model_context());
  ParameterStore& store = model->parameters();
  if (store.compute_copy().defined()) {
    // Half as wide as the master; both were rounded up alike.
    memory.compute_copy = (used_bytes() - start) / 3;
  }
  memory.parameters = used_bytes() - start - memory.compute_copy;
  std::int64_t before = used_bytes();
  store.allocate_gradients();
  memory.gradients = used_bytes() - before;
  before = used_bytes();
  const std::unique_ptr<Optimizer> optimizer = recipe.optimizer.make(store);
  memory.optimizer = used_bytes() - before;

  const DataTraits data = recipe.data.facts();
  CLS_CHECK(vocab_size_of(*model) > 0 && data.context_length > 0, ConfigError, recipe.name,
            ": plans are made for models that read tokens; model kind '", recipe.model.kind(),
            "' with these data is none");
  Batch batch = make_synthetic_batch({.rows = run.micro_batch,
                                      .context_length = run.tokens_per_sample,
                                      .vocab_size = vocab_size_of(*model)});
  // Ends of documents and epochs leave targets out, which costs the head a copy of its rows.
  batch.targets_BT.data<std::int32_t>()[0] = kIgnoredTarget;
  const std::int64_t rank_samples = div_ceil<std::int64_t>(run.batch_samples, run.ranks);
  // Those that wait, the one in the reader's hands, and the one in use.
  memory.batches = bytes_of(batch) * div_ceil(rank_samples, run.micro_batch) *
                   (data.prefetch > 0 ? data.prefetch + 2 : 1);
  store.begin_step();
  take_step(*model, batch, memory);
  memory.logits_chunk = ops::lm_head_chunk(run.micro_batch * run.tokens_per_sample,
                                           vocab_size_of(*model), ops::LmHeadOptions().chunk_bytes)
                            .bytes();
  if (recipe.checkpoint.asynchronous) {
    std::int64_t states = 1;
    states += std::ssize(optimizer->state());
    memory.checkpoint_copy = states * store.num_parameters() * 4;
  }
  return memory;
}

std::vector<PartPlan> parts_of(const ParameterStore& store) {
  std::vector<PartPlan> parts;
  std::string block;
  for (const Parameter& parameter : store.parameters()) {
    const std::string& path = parameter.path();
    const std::string name = path.substr(0, path.find('.'));
    if (parts.empty() || parts.back().name != name) {
      parts.push_back({.name = name});
    }
    parts.back().parameters += parameter.numel();
    const std::string owner = path.substr(0, path.find('.', name.size() + 1));
    if (name == "blocks" && owner != block) {
      parts.back().count += block.empty() ? 0 : 1;
      block = owner;
    }
  }
  return parts;
}

}  // namespace

std::int64_t MemoryPlan::step_bytes() const {
  return parameters + compute_copy + gradients + optimizer + activations + working + batches;
}

const MemoryPlan& TrainingPlan::chosen() const {
  return memory.at(static_cast<std::size_t>(recompute));
}

bool TrainingPlan::fits() const {
  return chosen().total_bytes() <= available_bytes / run.ranks;
}

TrainingPlan make_training_plan(const Recipe& original, int ranks, int cores_per_rank) {
  const DataFacts facts = data_facts(original);
  Recipe recipe = original;
  recipe.tokenizer_vocab_size = facts.vocab_size;
  TrainingPlan plan{.name = recipe.name,
                    .run = plan_run(recipe, facts, ranks, cores_per_rank),
                    .precision = std::string(word_of(recipe.precision)),
                    .recompute = recipe.train.recompute,
                    .available_bytes = available_memory_bytes()};
  for (const Recompute recompute : {Recompute::kNone, Recompute::kBlock}) {
    plan.memory.push_back(plan_memory(recipe, plan.run, recompute));
  }
  const DryRun dry;
  const std::unique_ptr<Model> model = recipe.model.make(recipe.model_context());
  plan.vocab_size = vocab_size_of(*model);
  plan.parts = parts_of(model->parameters());
  plan.parameters = model->parameters().num_parameters();
  const ForwardCost cost = model->cost(plan.run.tokens_per_sample);
  const auto tokens =
      static_cast<double>(plan.run.batch_samples) * static_cast<double>(plan.run.tokens_per_sample);
  plan.matmul_flops = 3.0 * cost.matmul_flops_per_token * tokens;
  plan.attention_flops = 3.5 * cost.attention_flops_per_token * tokens;
  return plan;
}

}  // namespace clausius
