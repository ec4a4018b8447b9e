// SPDX-License-Identifier: Apache-2.0
// SampleRun: heads that settle at levels of their own, some that collapse, a loss that falls.
#include "tests/support/sample_run.h"

#include <algorithm>
#include <cmath>
#include <fstream>

namespace clausius::test {
namespace {

constexpr double kAttainable = 4.1;  // nats

std::uint64_t mixed(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15U;
  value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27U)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31U);
}

}  // namespace

SampleRun::SampleRun(std::filesystem::path directory, const SampleRunOptions& options)
    : directory_(std::move(directory)), options_(options) {
  std::filesystem::create_directories(directory_);
  if (options_.recipe) {
    std::ofstream(directory_ / "recipe.resolved.yaml")
        << "name: sample\n"
           "data: {kind: text, train: sample.txt, context_length: 64}\n"
           "model: {kind: decoder_lm, layers: "
        << options_.layers << ", model_dim: " << 16 * options_.heads
        << ", num_heads: " << options_.heads
        << "}\noptimizer: {kind: adamw, lr: 1.0e-3}\ntrain: {steps: " << step_of(options_.samples)
        << ", batch_tokens: 2048}\nmonitor: {every: " << options_.every << "}\n";
  }
  open(-1);
  metrics_->on_event(0, "start", directory_.string());
}

void SampleRun::open(std::int64_t resume_step) {
  const bool resume = resume_step >= 0;
  metrics_ = std::make_unique<MetricsLog>(directory_ / "metrics.jsonl", resume);
  if (options_.entropy_file) {
    std::vector<std::int64_t> heads(static_cast<std::size_t>(options_.layers), options_.heads);
    if (options_.linear_layer >= 0) {
      heads.at(static_cast<std::size_t>(options_.linear_layer)) = 0;
    }
    entropy_.reset();
    entropy_ = std::make_unique<EntropyFile>(directory_ / "entropy.h5", heads, resume_step);
  }
}

std::int64_t SampleRun::step_of(std::int64_t sample) const {
  return sample <= 1 ? sample : (sample - 1) * options_.every;
}

// Uniform in [-1, 1), by the seed and two numbers.
double SampleRun::noise(std::int64_t a, std::int64_t b) const {
  const std::uint64_t bits = mixed(mixed(options_.seed * 7919 + static_cast<std::uint64_t>(a)) ^
                                   static_cast<std::uint64_t>(b));
  return static_cast<double>(bits >> 11U) * 0x1.0p-52 - 1.0;
}

double SampleRun::entropy_normalized(std::int64_t sample,
                                     std::int64_t layer,
                                     std::int64_t head) const {
  const std::int64_t place = layer * 1000 + head;
  const double progress = static_cast<double>(sample) /
                          static_cast<double>(std::max<std::int64_t>(options_.samples, 1));
  const double level = 0.12 + 0.8 * std::pow(0.5 * (noise(place, -1) + 1), 1.4);
  const double speed = 6 + 20 * std::abs(noise(place, -2));
  double value = level + (0.995 - level) * std::exp(-speed * progress);
  if (noise(place, -3) > 0.9 && progress > 0.5) {
    value *= std::exp(-12 * (progress - 0.5));
  }
  return std::clamp(value + 0.012 * noise(place, sample), 0.0, 1.0);
}

double SampleRun::loss(std::int64_t sample) const {
  const double progress = static_cast<double>(sample) /
                          static_cast<double>(std::max<std::int64_t>(options_.samples, 1));
  return 1.45 + 0.1 * noise(-7, -7) + 4.1 * std::exp(-9 * std::pow(progress, 0.7)) +
         0.05 * noise(-8, sample);
}

StepReport SampleRun::report(std::int64_t sample) const {
  StepReport report{.step = step_of(sample), .sampled = true};
  report.tokens = report.step * 2048;
  report.samples = report.step * 32;
  report.loss = loss(sample);
  const double progress = static_cast<double>(sample) /
                          static_cast<double>(std::max<std::int64_t>(options_.samples, 1));
  report.lr = 1e-3 * std::min(1.0, progress * 20) * 0.5 * (1 + std::cos(3.14159 * progress));
  report.grad_norm = std::exp(0.8 - 2 * progress + 0.4 * noise(-9, sample));
  report.update_norm = 30 * report.lr * (1 + 0.1 * noise(-10, sample));
  report.step_ms = 212 + 9 * noise(-11, sample);
  report.tokens_per_second = 2048e3 / report.step_ms;
  report.model_tflops = 0.31 + 0.01 * noise(-12, sample);
  report.fraction_of_peak = 0.52 + 0.02 * noise(-12, sample);
  report.peak_memory_bytes = std::int64_t{412} << 20;
  report.bands.assign(4, 0.0);
  double known = 0;
  for (std::int64_t layer = 0; layer < options_.layers; ++layer) {
    std::vector<HeadEntropy>& heads = report.entropy.emplace_back();
    for (std::int64_t head = 0; layer != options_.linear_layer && head < options_.heads; ++head) {
      const double share = entropy_normalized(sample, layer, head);
      heads.push_back({.entropy_nats = kAttainable * share,
                       .entropy_normalized = share,
                       .max_logit = 2 + 14 * (1 - share) + noise(layer * 1000 + head, -sample),
                       .rows = 2048});
      report.bands[static_cast<std::size_t>(std::min(3.0, share * 4))] += 1;
      known += 1;
    }
  }
  for (double& band : report.bands) {
    band /= std::max(known, 1.0);
  }
  return report;
}

void SampleRun::tell(const StepReport& report) {
  metrics_->on_step(report);
  if (entropy_) {
    entropy_->on_step(report);
  }
}

void SampleRun::sample() {
  ++done_;
  StepReport now = report(done_);
  const std::int64_t tenth = std::max<std::int64_t>(options_.samples / 10, 1);
  const bool collapsed = done_ > 7 * tenth;
  if (collapsed) {
    now.alarms = {"collapse: layer 0 head 0 at 0.031"};
  }
  tell(now);
  if (done_ % tenth == 0) {
    metrics_->on_evaluation(now.step, {.val_loss = loss(done_) + 0.06, .val_bits_per_byte = 2.0});
    metrics_->on_event(now.step, "checkpoint", "checkpoints/step.h5");
  }
  if (done_ == 7 * tenth) {
    metrics_->on_event(now.step, "alarm", "raised: collapse: layer 0 head 0 at 0.031");
  }
}

void SampleRun::finish() {
  while (done_ < options_.samples) {
    sample();
  }
  if (options_.end) {
    metrics_->on_event(step(), "end", "done");
  }
  metrics_.reset();
  entropy_.reset();
}

void SampleRun::resume(std::int64_t samples) {
  done_ = samples;
  open(step());
  metrics_->on_event(step(), "resume", "checkpoints/step.h5");
}

}  // namespace clausius::test
