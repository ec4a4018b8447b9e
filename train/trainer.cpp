// SPDX-License-Identifier: Apache-2.0
// Building a run and stepping through it.
#include "train/trainer.h"

#include <chrono>
#include <cmath>

#include <fmt/format.h>

#include "core/allocator.h"
#include "core/error.h"
#include "core/io/atomic_file.h"
#include "core/parallel.h"
#include "train/console.h"
#include "train/evaluator.h"
#include "train/generation.h"
#include "train/machine.h"
#include "train/metrics_log.h"

namespace clausius {

// In the order they are built; each may refer to those above it.
struct Trainer::Parts {
  std::unique_ptr<Dataset> data;
  RunPlan plan;
  std::unique_ptr<Model> model;
  std::unique_ptr<Objective> objective;
  std::unique_ptr<Optimizer> optimizer;
  std::unique_ptr<Schedule> schedule;
  std::unique_ptr<GradientReducer> reducer;
  std::unique_ptr<TrainStep> step;
  std::unique_ptr<EntropyTotals> entropy;
  std::unique_ptr<Loader> loader;
  std::vector<std::unique_ptr<TrainingObserver>> observers;
  double peak_flops = 0;  // of all ranks
  std::int64_t steps_done = 0;
  std::int64_t tokens = 0;
  bool writes = false;  // rank 0

  template <class Fn>
  void notify(const Fn& fn) {
    for (const auto& observer : observers) {
      fn(*observer);
    }
  }
};

Trainer::Trainer(const Recipe& recipe,
                 const RunOptions& options,
                 Communicator& communicator,
                 Log& log)
    : recipe_(recipe),
      options_(options),
      communicator_(communicator),
      log_(log),
      parts_(std::make_unique<Parts>()) {
  build();
}

Trainer::~Trainer() = default;

void Trainer::build() {
  Parts& p = *parts_;
  p.writes = communicator_.rank() == 0;
  set_num_threads(
      static_cast<int>(recipe_.parallel.threads.value_or(communicator_.cores_per_rank())));
  const DataContext data_context{.seed = static_cast<std::uint64_t>(recipe_.seed),
                                 .cache_folder = options_.directory};
  if (p.writes) {
    p.data = recipe_.data.make(data_context);
  }
  communicator_.barrier("data");
  if (!p.writes) {
    p.data = recipe_.data.make(data_context);
  }
  const DataFacts& facts = p.data->facts();
  p.plan = plan_run(recipe_, facts, communicator_.size(), communicator_.cores_per_rank());
  recipe_.tokenizer_vocab_size = facts.vocab_size;
  const ModelContext context = recipe_.model_context();
  p.model = recipe_.model.make(context);
  p.model->parameters().allocate_gradients();
  p.objective = recipe_.objective.make();
  p.optimizer = recipe_.optimizer.make(p.model->parameters());
  p.schedule = recipe_.schedule.make(p.plan.run);
  p.reducer =
      std::make_unique<GradientReducer>(p.model->parameters(), communicator_, p.plan.bucket_bytes);
  p.step =
      std::make_unique<TrainStep>(*p.model, *p.optimizer, *p.reducer, communicator_,
                                  TrainStepOptions{.seed = static_cast<std::uint64_t>(recipe_.seed),
                                                   .clip_norm = recipe_.train.clip_norm,
                                                   .recompute = recipe_.train.recompute});
  p.entropy = std::make_unique<EntropyTotals>(p.model->heads_per_layer());
  p.peak_flops = communicator_.all_reduce(measure_gemm_peak(context.compute), ReduceOp::kSum, "peak");
  open_run();
}

void Trainer::open_run() {
  Parts& p = *parts_;
  if (!p.writes) {
    return;
  }
  std::filesystem::create_directories(options_.directory);
  log_.open(options_.directory / "log.txt");
  write_file_atomically(options_.directory / "recipe.resolved.yaml", to_yaml(recipe_));
  p.observers.push_back(std::make_unique<Console>(log_, p.steps_done, p.plan.steps));
  p.observers.push_back(
      std::make_unique<MetricsLog>(options_.directory / "metrics.jsonl", p.steps_done > 0));
  log_.line(p.data->summary());
  log_.line(fmt::format(
      "{} parameters; {} steps of {} samples of {} tokens; micro-batch {}; {} rank{} of {} "
      "thread{}",
      format_count(static_cast<double>(p.model->parameters().num_parameters())), p.plan.steps,
      p.plan.batch_samples, p.plan.tokens_per_sample, p.plan.micro_batch, communicator_.size(),
      communicator_.size() == 1 ? "" : "s", p.plan.threads, p.plan.threads == 1 ? "" : "s"));
}

ExitCode Trainer::run() {
  Parts& p = *parts_;
  p.loader = std::make_unique<Loader>(
      p.data->train(), LoaderPlan{.batch_samples = p.plan.batch_samples,
                                  .micro_batch = p.plan.micro_batch,
                                  .rank = communicator_.rank(),
                                  .ranks = communicator_.size(),
                                  .prefetch = recipe_.data.facts().prefetch,
                                  .first_sample = p.steps_done * p.plan.batch_samples,
                                  .end_sample = p.plan.end_sample});
  p.notify(
      [&](TrainingObserver& o) { o.on_event(p.steps_done, "start", options_.directory.string()); });
  while (p.steps_done < p.plan.steps) {
    std::optional<LoadedStep> data = p.loader->next();
    CLS_CHECK(data.has_value(), InternalError, "the data ended at step ", p.steps_done, " of ",
              p.plan.steps);
    const StepReport report = step(*data);
    p.notify([&](TrainingObserver& o) { o.on_step(report); });
    const bool last = p.steps_done == p.plan.steps;
    if (p.data->validation() != nullptr && (last || p.steps_done % p.plan.evaluate_every == 0)) {
      evaluate_now();
    }
  }
  p.notify([&](TrainingObserver& o) { o.on_event(p.steps_done, "end", "done"); });
  return ExitCode::kDone;
}

StepReport Trainer::step(const LoadedStep& loaded) {
  Parts& p = *parts_;
  const auto start = std::chrono::steady_clock::now();
  const std::int64_t number = ++p.steps_done;
  LoadedStep data = loaded;
  for (Batch& batch : data.micro_batches) {
    batch = p.objective->prepare(std::move(batch), number);
  }
  p.entropy->reset();
  const double lr = p.optimizer->peak_lr() * p.schedule->factor(number);
  const StepOutcome outcome = p.step->run(data, number, lr, *p.entropy);
  CLS_CHECK(outcome.finite, GuardError, "step ", number, ": loss ", outcome.loss,
            ", gradient norm ", outcome.grad_norm,
            "; expected finite numbers. The parameters are those of step ", number - 1);
  StepReport report{
      .step = number, .samples = p.loader->samples_seen(), .loss = outcome.loss, .lr = lr};
  report.grad_norm = outcome.grad_norm;
  report.update_norm = outcome.update_norm;
  p.tokens += data.samples * p.plan.tokens_per_sample;
  report.tokens = p.tokens;
  report.sampled = number == 1 || number == p.plan.steps || number % p.plan.monitor_every == 0;
  if (report.sampled) {
    p.entropy->reduce(communicator_);
    report.entropy = p.entropy->report();
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  const auto step_tokens = static_cast<double>(data.samples * p.plan.tokens_per_sample);
  const ForwardCost cost = p.model->cost(p.plan.tokens_per_sample);
  const double flops =
      step_tokens * (3.0 * cost.matmul_flops_per_token + 3.5 * cost.attention_flops_per_token);
  report.step_ms = elapsed.count() * 1e3;
  report.tokens_per_second = step_tokens / elapsed.count();
  report.model_tflops = flops / elapsed.count() * 1e-12;
  report.fraction_of_peak = flops / elapsed.count() / p.peak_flops;
  report.peak_memory_bytes = static_cast<std::int64_t>(allocator(kCpu).stats().peak_bytes);
  return report;
}

void Trainer::evaluate_now() {
  Parts& p = *parts_;
  EntropyTotals entropy(p.model->heads_per_layer());
  const EvaluationReport report = evaluate(*p.model, *p.data->validation(), p.plan.evaluate_samples,
                                           p.plan.micro_batch, communicator_, entropy);
  p.notify([&](TrainingObserver& o) { o.on_evaluation(p.steps_done, report); });
}

}  // namespace clausius
