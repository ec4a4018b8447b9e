// SPDX-License-Identifier: Apache-2.0
// The step loop of a run.
#include "train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include <fmt/format.h>

#include "core/allocator.h"
#include "core/error.h"
#include "core/io/hash.h"
#include "train/evaluator.h"
#include "train/generation.h"
#include "train/trainer_parts.h"
#include "train/utf8_stream.h"

namespace clausius {

Trainer::Trainer(const Recipe& recipe,
                 const RunOptions& options,
                 Communicator& communicator,
                 Log& log)
    : recipe_(recipe),
      options_(options),
      communicator_(communicator),
      log_(log),
      parts_(std::make_unique<Parts>()) {
  parts_->writes = communicator.rank() == 0;
  build_data();
  build_model();
  resume();
}

Trainer::~Trainer() = default;

void Trainer::event(std::string_view name, std::string_view message) {
  for (const auto& observer : parts_->observers) {
    observer->on_event(parts_->position.step, name, message);
  }
}

ExitCode Trainer::run() {
  Parts& p = *parts_;
  open_run();
  const StopSignals signals(detect_launcher().kind);
  event(p.position.step > 0 ? "resume" : "start", p.files.directory.string());
  const std::int64_t end = std::min(p.plan.steps, options_.stop_after.value_or(p.plan.steps));
  while (p.position.step < end) {
    const std::optional<LoadedStep> data = p.feed->take(p.position.step + 1);
    CLS_CHECK(data.has_value(), InternalError, "the data ended at step ", p.position.step, " of ",
              p.plan.steps);
    if (!step(*data)) {
      continue;
    }
    const std::int64_t done = p.position.step;
    const bool last = done == p.plan.steps;
    bool keep_going = true;
    const bool due = p.plan.evaluate_every > 0 && done % p.plan.evaluate_every == 0;
    if (p.data->validation() != nullptr && (last || due)) {
      evaluate_now();
      keep_going = !p.out_of_patience;
    }
    if (p.plan.check_every > 0 && done % p.plan.check_every == 0) {
      const Tensor master = p.model->parameters().master().to(kCpu);
      std::uint64_t hash =
          xxh3_64(std::span(master.raw(), master.bytes())) ^ static_cast<std::uint64_t>(done);
      for (const StateTensor& state : p.model->parameters().states()) {
        const Tensor value = state.value.to(kCpu).contiguous();
        hash = hash * 31 + xxh3_64(std::span(value.raw(), value.bytes()));
      }
      check_in_sync(communicator_, hash, "parameters and states");
    }
    const StopRequest stop = signals.agree(communicator_);
    const bool ends = done == end || !keep_going || stop != StopRequest::kNone;
    if (stop != StopRequest::kUrgent && (ends || done % p.plan.checkpoint_every == 0)) {
      save_checkpoint();
    }
    if (ends) {
      if (stop != StopRequest::kNone) {
        event("signal", signals.signal_name());
      }
      return finish(stop);
    }
  }
  return finish(StopRequest::kNone);
}

ExitCode Trainer::finish(StopRequest stop) {
  Parts& p = *parts_;
  if (p.saver != nullptr) {
    p.saver->wait();
    for (const SavedCheckpoint& saved : p.saver->take_finished()) {
      event("checkpoint", saved.file.path.string());
    }
  }
  if (p.trace != nullptr && !options_.trace.empty()) {
    p.trace->write(p.trace_file);
  }
  const bool complete = p.position.step == p.plan.steps;
  event("end", complete ? "done" : p.out_of_patience ? "validation stopped improving" : "stopped");
  p.observers.clear();
  communicator_.barrier("end of the run");
  if (stop == StopRequest::kUrgent) {
    return ExitCode::kInternal;
  }
  return stop == StopRequest::kStop ? ExitCode::kStoppedBySignal : ExitCode::kDone;
}

bool Trainer::step(const LoadedStep& data) {
  Parts& p = *parts_;
  const auto start = std::chrono::steady_clock::now();
  const std::int64_t number = p.position.step + 1;
  p.entropy->reset();
  const double lr = p.optimizer->peak_lr() * p.schedule->factor(number);
  const bool sampled = number == 1 || number == p.plan.steps || number % p.plan.monitor_every == 0;
  const StepOutcome outcome = p.step->run(
      data, number, lr, *p.entropy, [&] { p.feed->prepare(number + 1); },
      p.observation->watch(sampled),
      [&](const StepOutcome& before_update) { return accepts(number, before_update); });
  check_recording();
  const std::int64_t tokens = data.samples * p.plan.tokens_per_sample;
  if (!outcome.finite) {
    const std::string what =
        fmt::format("step {}: loss {}, gradient norm {}; expected finite numbers", number,
                    outcome.loss, outcome.grad_norm);
    event("alarm", "nonfinite: " + what);
    if (p.health->policy(Alarm::kNonfinite) == AlarmPolicy::kRollback) {
      p.position.tokens += tokens;
      p.position.samples = data.end_sample();
      roll_back(number, "nonfinite: " + what);
      return false;
    }
    not_finite(number, what);
  }
  p.left_out = outcome.updated ? 0 : p.left_out;
  p.position = {.step = number, .tokens = p.position.tokens + tokens, .samples = data.end_sample()};
  StepReport report{.step = number,
                    .tokens = p.position.tokens,
                    .samples = p.position.samples,
                    .loss = outcome.loss,
                    .lr = lr};
  report.aux_losses = outcome.aux_losses;
  report.lse_mean = outcome.lse_mean;
  report.lse_max = outcome.lse_max;
  report.grad_norm = outcome.grad_norm;
  report.update_norm = outcome.update_norm;
  report.updated = outcome.updated;
  report.sampled = sampled;
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  const double flops = static_cast<double>(tokens) * p.flops_per_token;
  report.step_ms = elapsed.count() * 1e3;
  report.tokens_per_second = static_cast<double>(tokens) / elapsed.count();
  report.model_tflops = flops / elapsed.count() * 1e-12;
  report.fraction_of_peak = flops / elapsed.count() / p.peak_flops;
  report.peak_memory_bytes =
      static_cast<std::int64_t>(allocator(p.model->parameters().device()).stats().peak_bytes);
  if (p.trace != nullptr) {
    p.trace->span(fmt::format("step {}", number), "steps", start, std::chrono::steady_clock::now());
    p.trace->span("backward", "backward", p.step->backward_times().begin.time(),
                  p.step->backward_times().end.time());
    p.trace->buckets(p.reducer->trace());
  }
  return judge(report, outcome);
}

// Said once: whoever asked for a recording gets it or an error.
void Trainer::check_recording() {
  Parts& p = *parts_;
  const std::string& refusal = p.step->program().refusal();
  if (recipe_.train.device_graph == DeviceGraph::kOn) {
    CLS_CHECK(refusal.empty(), ConfigError,
              "train.device_graph: on: the step cannot be recorded: ", refusal);
  } else if (!refusal.empty() && !p.refusal_told) {
    p.refusal_told = true;
    log_.line("steps are not recorded as one graph: " + refusal);
  }
}

bool Trainer::judge(StepReport& report, const StepOutcome& outcome) {
  Parts& p = *parts_;
  if (report.sampled) {
    p.entropy->reduce(communicator_);
    report.entropy = p.entropy->report();
    p.observation->report(report.entropy, outcome, report);
    if (p.step->qk_clip().active()) {
      report.qk_clips = p.step->qk_clip().clips();
    }
  }
  const HealthVerdict verdict = p.health->judge(report);
  report.bands = verdict.bands;
  report.collapsed_heads = verdict.collapsed;
  report.alarms = verdict.active;
  for (const auto& observer : p.observers) {
    observer->on_step(report);
  }
  for (const std::string& text : verdict.events) {
    event("alarm", text);
  }
  return act(verdict, report.step);
}

void Trainer::evaluate_now() {
  Parts& p = *parts_;
  EntropyTotals entropy(p.model->heads_per_layer(), p.model->parameters().device());
  const EvaluationReport report = evaluate(*p.model, *p.data->validation(), p.plan.evaluate_samples,
                                           p.plan.micro_batch, communicator_, entropy);
  p.last_evaluation = report;
  p.last_evaluation_step = p.position.step;
  for (const auto& observer : p.observers) {
    observer->on_evaluation(p.position.step, report);
  }
  p.out_of_patience = recipe_.train.early_stop && !improves(report);
  auto* language = dynamic_cast<LanguageModel*>(p.model.get());
  if (!p.writes || language == nullptr || p.data->tokenizer() == nullptr) {
    return;
  }
  for (const std::string& prompt : recipe_.evaluate.prompts) {
    const GenerationOptions options{.max_tokens = 100,
                                    .temperature = 0.8,
                                    .stop_token = p.data->tokenizer()->eos_id(),
                                    .vocab_size = p.data->tokenizer()->vocab_size()};
    const std::vector<std::int32_t> tokens =
        generate(*language, p.data->tokenizer()->encode(prompt), options);
    log_.line(
        fmt::format("  {} | {}", prompt, well_formed_utf8(p.data->tokenizer()->decode(tokens))));
  }
}

bool Trainer::improves(const EvaluationReport& report) {
  Parts& p = *parts_;
  const bool by_bits = recipe_.train.early_stop->metric == Metric::kValBitsPerByte;
  const double value = by_bits ? report.val_bits_per_byte : report.val_loss;
  if (!p.best_evaluation || value < *p.best_evaluation) {
    p.best_evaluation = value;
    p.evaluations_without_gain = 0;
  } else {
    ++p.evaluations_without_gain;
  }
  return p.evaluations_without_gain < recipe_.train.early_stop->patience;
}

void Trainer::save_checkpoint() {
  Parts& p = *parts_;
  p.rollbacks = p.position.step > p.rolled_back_from ? 0 : p.rollbacks;
  const std::vector<OptimizerState> state =
      whole_state(*p.optimizer, p.model->parameters(), communicator_, *p.reducer);
  if (p.saver == nullptr) {
    return;
  }
  Checkpoint checkpoint =
      make_checkpoint(recipe_, p.plan, p.position, p.model->parameters(), state, *p.data);
  if (p.last_evaluation && p.last_evaluation_step == p.position.step) {
    const bool by_bits = recipe_.checkpoint.keep_best == KeepBest::kValBitsPerByte;
    checkpoint.score = by_bits ? p.last_evaluation->val_bits_per_byte : p.last_evaluation->val_loss;
  }
  checkpoint.texts["health"] = p.health->state();
  checkpoint.values["passed_over"] = p.passed_over;
  if (p.observation->spectral_norms() != nullptr &&
      p.observation->spectral_norms()->state().defined()) {
    checkpoint.tensors.push_back({"spectral_norms", TensorRole::kMonitor,
                                  p.observation->spectral_norms()->state().to(kCpu)});
  }
  if (p.step->qk_clip().active()) {
    checkpoint.texts["qk_clips"] = p.step->qk_clip().state();
  }
  if (p.best_evaluation) {
    checkpoint.values["best_evaluation"] = *p.best_evaluation;
    checkpoint.values["evaluations_without_gain"] = p.evaluations_without_gain;
  }
  p.saver->save(std::move(checkpoint));
  for (const SavedCheckpoint& saved : p.saver->take_finished()) {
    event("checkpoint", saved.file.path.string());
  }
}

}  // namespace clausius
