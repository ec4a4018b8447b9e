// SPDX-License-Identifier: Apache-2.0
// Building a run: directory, data, model, what a checkpoint holds, observers.
#include <functional>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "core/allocator.h"
#include "core/checked.h"
#include "core/error.h"
#include "core/io/atomic_file.h"
#include "core/parallel.h"
#include "train/buckets.h"
#include "train/console.h"
#include "train/environment.h"
#include "train/machine.h"
#include "train/metrics_log.h"
#include "train/monitor/entropy_file.h"
#include "train/monitor/tensorboard/tensorboard_log.h"
#include "train/recipe_changes.h"
#include "train/trainer_parts.h"

namespace clausius {
namespace {

// What rank 0 found out alone, told to the others: the error of one must be the error of all.
std::string on_rank_0(Communicator& communicator, const std::function<std::string()>& work) {
  std::string text;
  if (communicator.rank() == 0) {
    text = work();
  }
  return communicator.broadcast_text(std::move(text), 0, "start of the run");
}

}  // namespace

void Trainer::build_data() {
  Parts& p = *parts_;
  const std::string checkpoint = on_rank_0(communicator_, [&] {
    p.opened = open_run_directory(options_.directory, options_.resume);
    return p.opened->checkpoint ? p.opened->checkpoint->path.string() : std::string();
  });
  p.files.directory = std::filesystem::absolute(options_.directory).lexically_normal();
  DataContext context{.seed = static_cast<std::uint64_t>(recipe_.seed),
                      .cache_folder = p.files.directory,
                      .announce = [this](const std::string& message) { log_.line(message); }};
  if (!checkpoint.empty()) {
    p.checkpoint = read_checkpoint(checkpoint);
    const auto tokenizer = p.checkpoint->texts.find("tokenizer");
    context.tokenizer_json = tokenizer != p.checkpoint->texts.end() ? tokenizer->second : "";
  }
  // Rank 0 first: where a token store has to be built, the others find it finished.
  if (p.writes) {
    p.data = recipe_.data.make(context);
  }
  communicator_.barrier("data");
  if (!p.writes) {
    p.data = recipe_.data.make(context);
  }
  recipe_.tokenizer_vocab_size = p.data->facts().vocab_size;
  if (p.checkpoint) {
    const auto before = p.checkpoint->values.find("data_fingerprint");
    CLS_CHECK(before == p.checkpoint->values.end() ||
                  std::get<std::string>(before->second) == p.data->facts().fingerprint,
              DataError, "the data are not those of the checkpoint ", checkpoint,
              ": a source has changed since; a run goes on with the data it began with");
  }
}

void Trainer::build_model() {
  Parts& p = *parts_;
  p.plan = plan_run(recipe_, p.data->facts(), communicator_.size(), communicator_.cores_per_rank());
  keep_split();
  set_num_threads(p.plan.threads);
  ModelContext context = recipe_.model_context();
  const bool shared = recipe_.parallel.zero == 1 && communicator_.size() > 1;
  const int shares = shared ? communicator_.size() : 1;
  context.parameter_shares = shares;
  context.restored = p.checkpoint.has_value();
  p.model = recipe_.model.make(context);
  ParameterStore& parameters = p.model->parameters();
  parameters.allocate_gradients();
  std::vector<FlatRange> buckets = make_buckets(parameters, p.plan.bucket_bytes, shares);
  if (shared) {
    parameters.set_owned(shares_of(buckets, communicator_.rank(), shares));
  }
  // Norms of gradients and updates are then known by layer, whatever is observed.
  parameters.set_owned(cut_at_layers(parameters.owned(), p.model->layer_ranges()));
  p.optimizer = recipe_.optimizer.make(parameters);
  p.reducer =
      std::make_unique<GradientReducer>(parameters, communicator_, std::move(buckets), shared);
  build_step();
  const ForwardCost cost = p.model->cost(p.plan.tokens_per_sample);
  p.flops_per_token = 3.0 * cost.matmul_flops_per_token + 3.5 * cost.attention_flops_per_token;
  p.peak_flops = communicator_.all_reduce(
      measure_gemm_peak(parameters.compute_dtype(), parameters.device()), ReduceOp::kSum, "peak");
  // The measurement is no part of the run's memory.
  allocator(parameters.device()).reset_peak();
}

// The same bits need the same split: what was `auto` when the checkpoint was written stays what it became.
void Trainer::keep_split() {
  Parts& p = *parts_;
  if (!p.checkpoint) {
    return;
  }
  const auto value = [&](const char* name) {
    return std::get<std::int64_t>(p.checkpoint->values.at(name));
  };
  if (recipe_.parallel.threads.is_auto()) {
    p.plan.threads = narrow<int>(value("threads"));
  }
  if (recipe_.train.micro_batch.is_auto()) {
    p.plan.micro_batch = value("micro_batch");
  }
  if (p.plan.threads != value("threads") || p.plan.micro_batch != value("micro_batch") ||
      p.plan.ranks != value("ranks")) {
    log_.warn(
        fmt::format("the checkpoint is of {} ranks, {} threads, micro-batch {}; this run has {}, "
                    "{}, {}: the same curve, but not the same bits",
                    value("ranks"), value("threads"), value("micro_batch"), p.plan.ranks,
                    p.plan.threads, p.plan.micro_batch));
  }
}

void Trainer::build_step() {
  Parts& p = *parts_;
  const Device device = p.model->parameters().device();
  CLS_CHECK(
      recipe_.train.device_graph != DeviceGraph::kOn ||
          (device.kind == DeviceKind::kCuda && communicator_.size() == 1 && options_.trace.empty()),
      ConfigError,
      "train.device_graph: on: a step is recorded on one CUDA device, by one rank, without "
      "--trace; this run has device ",
      device, ", ranks: ", communicator_.size(), options_.trace.empty() ? "" : ", --trace");
  p.objective = recipe_.objective.make();
  p.schedule = recipe_.schedule.make(p.plan.run);
  p.observation =
      std::make_unique<Observation>(recipe_.monitor, *p.model, communicator_, p.reducer->shared());
  const bool record = recipe_.train.device_graph != DeviceGraph::kOff && options_.trace.empty() &&
                      device.kind != DeviceKind::kCpu && communicator_.size() == 1;
  p.step = std::make_unique<TrainStep>(
      *p.model, *p.optimizer, *p.reducer, communicator_,
      TrainStepOptions{.seed = static_cast<std::uint64_t>(recipe_.seed),
                       .steps = p.plan.steps,
                       .clip_norm = recipe_.train.clip_norm,
                       .recompute = recipe_.train.recompute,
                       .trace = !options_.trace.empty(),
                       .record = recipe_.train.device_graph != DeviceGraph::kOff,
                       .telemetry = record ? p.observation->in_recordings() : TelemetryRequest{}});
  p.entropy = std::make_unique<EntropyTotals>(p.model->heads_per_layer(), device);
  p.health = std::make_unique<HealthMonitor>(recipe_.monitor);
}

void Trainer::resume() {
  Parts& p = *parts_;
  if (p.checkpoint) {
    const Recipe before = parse_recipe(p.checkpoint->texts.at("recipe"),
                                       "the recipe of the checkpoint", p.files.directory);
    check_resumable(before, recipe_, p.checkpoint->step, p.plan.run);
    restore(*p.checkpoint);
    p.checkpoint.reset();
  }
  broadcast_states(p.model->parameters(), communicator_);
  open_data();
}

void Trainer::restore(const Checkpoint& checkpoint) {
  Parts& p = *parts_;
  restore_parameters(checkpoint, p.model->parameters());
  restore_optimizer(checkpoint, *p.optimizer, p.model->parameters());
  p.position = {
      .step = checkpoint.step, .tokens = checkpoint.tokens, .samples = checkpoint.samples};
  if (const auto health = checkpoint.texts.find("health"); health != checkpoint.texts.end()) {
    p.health->restore(health->second);
  }
  const auto passed = checkpoint.values.find("passed_over");
  p.passed_over = passed != checkpoint.values.end() ? std::get<std::int64_t>(passed->second) : 0;
  if (SpectralNorms* norms = p.observation->spectral_norms()) {
    norms->restore(checkpoint.find(TensorRole::kMonitor, "spectral_norms"));
  }
  if (const auto clips = checkpoint.texts.find("qk_clips");
      clips != checkpoint.texts.end() && p.step->qk_clip().active()) {
    p.step->qk_clip().restore(clips->second);
  }
  if (const auto best = checkpoint.values.find("best_evaluation");
      best != checkpoint.values.end()) {
    p.best_evaluation = std::get<double>(best->second);
    p.evaluations_without_gain =
        std::get<std::int64_t>(checkpoint.values.at("evaluations_without_gain"));
  }
}

// From the position on.
void Trainer::open_data() {
  Parts& p = *parts_;
  p.feed.reset();
  const bool endless = p.plan.end_sample == std::numeric_limits<std::int64_t>::max();
  const std::int64_t end = endless ? p.plan.end_sample : p.plan.end_sample + p.passed_over;
  p.loader = std::make_unique<Loader>(p.data->train(),
                                      LoaderPlan{.batch_samples = p.plan.batch_samples,
                                                 .micro_batch = p.plan.micro_batch,
                                                 .rank = communicator_.rank(),
                                                 .ranks = communicator_.size(),
                                                 .prefetch = recipe_.data.facts().prefetch,
                                                 .first_sample = p.position.samples,
                                                 .end_sample = end});
  p.feed = std::make_unique<BatchFeed>(*p.loader, *p.objective, p.model->parameters().device());
}

void Trainer::open_run() {
  Parts& p = *parts_;
  if (!options_.trace.empty()) {
    p.trace = std::make_unique<Trace>(communicator_.rank());
    p.trace_file = options_.trace;
    if (communicator_.rank() > 0) {
      p.trace_file += fmt::format(".rank{}", communicator_.rank());
    }
  }
  if (!p.writes) {
    return;
  }
  const bool resumed = p.position.step > 0;
  log_.open(p.files.log());
  for (const std::string& note : p.opened->notes) {
    log_.warn(note);
  }
  if (p.opened->resumed && !resumed) {
    log_.warn("no checkpoint to go on from: starting at step 0 again");
  }
  for (const auto& moved : set_aside_later_checkpoints(p.files.checkpoints(), p.position.step)) {
    log_.warn("set aside " + moved.string());
  }
  write_file_atomically(p.files.recipe(), to_yaml(recipe_));
  write_file_atomically(p.files.environment(), environment_json(communicator_, p.plan));
  const CheckpointConfig& checkpoint = recipe_.checkpoint;
  const auto* keep = std::get_if<std::int64_t>(&checkpoint.keep_last);
  p.saver = std::make_unique<CheckpointSaver>(
      p.files.checkpoints(),
      CheckpointPolicy{.keep_last = keep != nullptr ? std::optional(*keep) : std::nullopt,
                       .keep_best = checkpoint.keep_best && p.data->validation() != nullptr,
                       .asynchronous = checkpoint.asynchronous});
  open_observers(resumed);
  describe();
}

void Trainer::open_observers(bool resumed) {
  Parts& p = *parts_;
  p.observers.push_back(std::make_unique<Console>(log_, p.position.step, p.plan.steps));
  p.observers.push_back(std::make_unique<MetricsLog>(p.files.metrics(), resumed));
  p.observers.push_back(std::make_unique<EntropyFile>(p.files.entropy(), p.model->heads_per_layer(),
                                                      resumed ? p.position.step : -1,
                                                      p.observation->names()));
  if (recipe_.monitor.tensorboard) {
    p.observers.push_back(
        std::make_unique<TensorBoardLog>(p.files.directory, to_yaml(recipe_), p.position.step));
  }
}

void Trainer::describe() const {
  const Parts& p = *parts_;
  log_.line(p.data->summary());
  log_.line(fmt::format(
      "{} parameters; {} steps of {} samples of {} tokens; micro-batch {}; {} rank{} of {} "
      "thread{}; {} buckets, {}",
      format_count(static_cast<double>(p.model->parameters().num_parameters())), p.plan.steps,
      p.plan.batch_samples, p.plan.tokens_per_sample, p.plan.micro_batch, communicator_.size(),
      communicator_.size() == 1 ? "" : "s", p.plan.threads, p.plan.threads == 1 ? "" : "s",
      p.reducer->buckets().size(), communicator_.description()));
  if (const std::string clipped = p.step->qk_clip().description(); !clipped.empty()) {
    log_.line(clipped);
  }
}

}  // namespace clausius
