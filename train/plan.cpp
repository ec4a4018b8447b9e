// SPDX-License-Identifier: Apache-2.0
// Plans by dry run.
#include "train/plan.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <memory>

#include "autograd/tape.h"
#include "core/allocator.h"
#include "core/checked.h"
#include "core/cuda/gemm_workspace.h"
#include "core/device_backend.h"
#include "core/dry_run.h"
#include "core/ops/lm_head_cross_entropy/lm_head_cross_entropy.h"
#include "train/buckets.h"
#include "train/machine.h"
#include "train/synthetic_batch.h"

namespace clausius {
namespace {

// The account of what a dry run takes from one device.
class Account {
 public:
  explicit Account(Device device) : allocator_(allocator(device)) {
    if (device != kCpu) {
      allocator_.trim();  // of earlier plans
    }
  }
  [[nodiscard]] std::int64_t used() const { return bytes(&MemoryStats::used_bytes); }
  [[nodiscard]] std::int64_t peak() const { return bytes(&MemoryStats::peak_bytes); }
  [[nodiscard]] std::int64_t held() const { return used() + bytes(&MemoryStats::cached_bytes); }
  void reset_peak() { allocator_.reset_peak(); }

 private:
  [[nodiscard]] std::int64_t bytes(std::size_t MemoryStats::*which) const {
    return static_cast<std::int64_t>(allocator_.stats().*which);
  }
  Allocator& allocator_;
};

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

ModelContext context_on(Device device, const Recipe& recipe) {
  ModelContext context = recipe.model_context();
  context.device = device;
  return context;
}

// The vocabulary decides the shape of the model; where the recipe leaves it to the data, they are opened.
DataFacts data_facts(const Recipe& recipe) {
  const DataTraits traits = recipe.data.facts();
  DataFacts facts{.vocab_size = traits.vocab_size, .context_length = traits.context_length};
  Recipe known = recipe;
  known.tokenizer_vocab_size = facts.vocab_size;
  const DryRun dry;
  const bool open = vocab_size_of(*known.model.make(context_on(kCpu, known))) == 0;
  return open ? open_facts(recipe) : facts;
}

// A micro-batch forward and backward, in a dry run; fills what it keeps and its peak.
void take_step(Model& model, const Batch& batch, Account& account, MemoryPlan& memory) {
  const std::int64_t before = account.used();
  account.reset_peak();
  Tape tape;
  const ParameterStore::Bind bind(model.parameters(), &tape);
  Telemetry telemetry;
  const std::int64_t regularizers = std::ssize(model.regularizers());
  const ForwardLoss forward =
      model.forward_loss(batch, {.phase = Phase::kTrain,
                                 .step = 1,
                                 .recompute = memory.recompute,
                                 .telemetry = &telemetry,
                                 .regularizer_shares = Tensor::empty({regularizers}, Dtype::kF64,
                                                                     model.parameters().device())});
  memory.activations = account.used() - before;
  const std::int64_t forward_peak = account.peak();
  std::vector<Tape::Seed> seeds;
  const auto seed = [&](const Variable& sum) {
    if (sum.tracked()) {
      seeds.push_back({sum, Tensor::scalar(1.0, sum.dtype(), sum.value().device())});
    }
  };
  seed(forward.optimized);
  std::for_each(forward.regularizer_sums.begin(), forward.regularizer_sums.end(), seed);
  tape.backward(seeds);
  memory.peak_in_forward = account.peak() == forward_peak;
  memory.working = account.peak() - before - memory.activations;
}

// With ZeRO-1 a rank updates its shares alone, and the optimizer keeps state for these.
void own_share(ParameterStore& store, const RunPlan& run, int shares) {
  if (shares > 1) {
    store.set_owned(shares_of(make_buckets(store, run.bucket_bytes, shares), 0, shares));
  }
}

MemoryPlan plan_memory(const Recipe& recipe,
                       const RunPlan& run,
                       Device device,
                       Recompute recompute) {
  const DryRun dry;
  Account account(device);
  MemoryPlan memory{.recompute = recompute, .on_device = device != kCpu};
  memory.workspace = memory.on_device ? cuda::kGemmWorkspaceBytes : 0;
  const std::int64_t start = account.used();
  const int shares = recipe.parallel.zero == 1 ? run.ranks : 1;
  ModelContext context = context_on(device, recipe);
  context.parameter_shares = shares;
  const std::unique_ptr<Model> model = recipe.model.make(context);
  ParameterStore& store = model->parameters();
  memory.reparam = model->reparam() != nullptr ? model->reparam()->bytes() : 0;
  if (store.compute_copy().defined()) {
    // Half as wide as the master; both were rounded up alike.
    memory.compute_copy = (account.used() - start - memory.reparam) / 3;
  }
  memory.parameters = account.used() - start - memory.compute_copy - memory.reparam;
  std::int64_t before = account.used();
  store.allocate_gradients();
  memory.gradients = account.used() - before;
  own_share(store, run, shares);
  before = account.used();
  const std::unique_ptr<Optimizer> optimizer = recipe.optimizer.make(store);
  memory.optimizer = account.used() - before;

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
  take_step(*model, batch, account, memory);
  memory.kept = memory.on_device ? account.held() - account.peak() : 0;
  const auto chunk = memory.on_device ? ops::lm_head_device_chunk : ops::lm_head_chunk;
  memory.logits_chunk = chunk(run.micro_batch * run.tokens_per_sample, vocab_size_of(*model),
                              ops::lm_head_chunk_bytes(device.kind))
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
    // Not only the last: what layers share is registered among them.
    auto part = std::find_if(parts.begin(), parts.end(),
                             [&](const PartPlan& known) { return known.name == name; });
    if (part == parts.end()) {
      part = parts.insert(part, {.name = name});
    }
    part->parameters += parameter.numel();
    const std::string owner = path.substr(0, path.find('.', name.size() + 1));
    if (name == "blocks" && owner != block) {
      part->count += block.empty() ? 0 : 1;
      block = owner;
    }
  }
  return parts;
}

// The memory that ranks on one host share; a device's for each rank that has one to itself.
std::int64_t available_bytes(const TrainingPlan& plan, const MachineProfile* profile) {
  if (profile != nullptr) {
    return profile->memory_bytes * plan.run.ranks;
  }
  if (plan.device == kCpu) {
    return available_memory_bytes();
  }
  // What this process has taken already is its own to use.
  const MemoryStats taken = allocator(plan.device).stats();
  const DeviceBackend& backend = require_backend(plan.device);
  const std::int64_t bytes = backend.memory().free_bytes +
                             static_cast<std::int64_t>(taken.used_bytes + taken.cached_bytes);
  return bytes * std::min(plan.run.ranks, backend.count());
}

}  // namespace

std::int64_t MemoryPlan::step_bytes() const {
  return parameters + compute_copy + reparam + gradients + optimizer + activations + working +
         workspace + (on_device ? 0 : batches);
}

const MemoryPlan& TrainingPlan::chosen() const {
  return memory.at(static_cast<std::size_t>(recompute));
}

bool TrainingPlan::fits() const {
  return chosen().total_bytes() <= available_bytes / run.ranks;
}

TrainingPlan make_training_plan(const Recipe& original,
                                int ranks,
                                int cores_per_rank,
                                const MachineProfile* profile) {
  const DataFacts facts = data_facts(original);
  Recipe recipe = original;
  recipe.tokenizer_vocab_size = facts.vocab_size;
  TrainingPlan plan{.name = recipe.name,
                    .run = plan_run(recipe, facts, ranks, cores_per_rank),
                    .device = profile != nullptr ? kCuda : recipe.model_context().device,
                    .machine = profile != nullptr ? concat(profile->description, " (published)")
                                                  : std::string("this machine"),
                    .precision = std::string(word_of(recipe.precision)),
                    .recompute = recipe.train.recompute};
  plan.available_bytes = available_bytes(plan, profile);
  for (const Recompute recompute : {Recompute::kNone, Recompute::kBlock}) {
    plan.memory.push_back(plan_memory(recipe, plan.run, plan.device, recompute));
  }
  const DryRun dry;
  const std::unique_ptr<Model> model = recipe.model.make(context_on(plan.device, recipe));
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
