// SPDX-License-Identifier: Apache-2.0
// Timing whole steps.
#include "train/benchmarks/step.h"

#include <algorithm>
#include <chrono>
#include <sys/resource.h>
#include <vector>

#include "core/allocator.h"
#include "core/device_backend.h"
#include "core/parallel.h"
#include "train/buckets.h"
#include "train/gradient_reducer.h"
#include "train/monitor/observation.h"
#include "train/synthetic_batch.h"
#include "train/train_step.h"

namespace clausius {
namespace {

constexpr std::int64_t kHostTokens = 2048;
constexpr std::int64_t kDeviceTokens = 16384;
constexpr std::int64_t kBytes = 256;

std::int64_t peak_resident_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::int64_t>(usage.ru_maxrss) * 1024;
}

void wait_for(Device device) {
  if (device != kCpu) {
    require_backend(device).synchronize(device.index);
  }
}

// run(number) takes a step and returns its loss; fills the times, the memory and the last loss.
template <class Run>
void time_steps(StepBenchmark& result, std::int64_t steps, const Run& run) {
  constexpr std::int64_t kWarmUp = 2;
  Allocator& memory = allocator(result.device);
  std::vector<double> seconds;
  std::size_t held = 0;
  memory.trim();
  memory.reset_peak();
  for (std::int64_t number = 1; number <= kWarmUp + steps; ++number) {
    const auto start = std::chrono::steady_clock::now();
    result.loss = run(number);
    wait_for(result.device);
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    const MemoryStats now = memory.stats();
    held = std::max({held, now.peak_bytes, now.used_bytes + now.cached_bytes});
    if (number > kWarmUp) {
      seconds.push_back(elapsed.count());
    }
  }
  std::sort(seconds.begin(), seconds.end());
  const std::size_t middle = seconds.size() / 2;
  result.best_seconds = seconds.front();
  result.median_seconds =
      seconds.size() % 2 == 1 ? seconds[middle] : (seconds[middle - 1] + seconds[middle]) / 2;
  result.peak_memory_bytes = static_cast<std::int64_t>(memory.stats().peak_bytes);
  result.held_memory_bytes = static_cast<std::int64_t>(held);
  result.peak_resident_bytes = peak_resident_bytes();
}

// Median over pairs of a watched step's time less that of the plain one beside it; which comes first alternates.
template <class Take>
double time_pairs(Device device, std::int64_t pairs, const Take& take) {
  const auto seconds_of = [&](std::int64_t number, bool observed) {
    const auto start = std::chrono::steady_clock::now();
    take(number, observed);
    wait_for(device);
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    return elapsed.count();
  };
  take(1, true);  // whatever is done once
  std::vector<double> differences;
  for (std::int64_t pair = 0; pair < pairs; ++pair) {
    const bool first = pair % 2 == 0;
    const double one = seconds_of(2 + 2 * pair, first);
    const double other = seconds_of(3 + 2 * pair, !first);
    differences.push_back(first ? one - other : other - one);
  }
  std::sort(differences.begin(), differences.end());
  const std::size_t middle = differences.size() / 2;
  return differences.size() % 2 == 1 ? differences[middle]
                                     : (differences[middle - 1] + differences[middle]) / 2;
}

}  // namespace

StepBenchmark benchmark_step(const Recipe& original, const StepBenchmarkOptions& options) {
  Recipe recipe = original;
  recipe.tokenizer_vocab_size = kBytes;
  const std::unique_ptr<Communicator> communicator = make_communicator();
  const std::unique_ptr<Model> model = recipe.model.make(recipe.model_context());
  auto* language = dynamic_cast<LanguageModel*>(model.get());
  CLS_CHECK(language != nullptr, ConfigError, recipe.name, ": model kind '", recipe.model.kind(),
            "' does not read tokens");
  ParameterStore& store = model->parameters();
  store.allocate_gradients();
  store.set_owned(cut_at_layers(store.owned(), model->layer_ranges()));
  const std::unique_ptr<Optimizer> optimizer = recipe.optimizer.make(store);
  GradientReducer reducer(store, *communicator, make_buckets(store, std::int64_t{8} << 20, 1),
                          /*shared=*/false);
  TrainStep step(*model, *optimizer, reducer, *communicator,
                 {.seed = static_cast<std::uint64_t>(recipe.seed),
                  .clip_norm = recipe.train.clip_norm,
                  .recompute = recipe.train.recompute,
                  .record = recipe.train.device_graph != DeviceGraph::kOff});
  EntropyTotals entropy(model->heads_per_layer(), store.device());
  Observation observation(recipe.monitor, *model, *communicator, /*shared=*/false);

  StepBenchmark result{.recipe = recipe.name,
                       .dtype = store.compute_dtype(),
                       .device = store.device(),
                       .context_length = recipe.data.facts().context_length,
                       .vocab_size = language->vocab_size(),
                       .threads = num_threads()};
  const std::int64_t tokens = result.device == kCpu ? kHostTokens : kDeviceTokens;
  result.rows =
      options.rows > 0 ? options.rows : std::max<std::int64_t>(1, tokens / result.context_length);
  LoadedStep data;
  data.samples = result.rows;
  data.micro_batches.push_back(make_synthetic_batch({.rows = result.rows,
                                                     .context_length = result.context_length,
                                                     .vocab_size = result.vocab_size}));
  data.weight = data.micro_batches.front().weight;

  const auto take = [&](std::int64_t number, bool observed) {
    entropy.reset();
    const StepOutcome outcome =
        step.run(data, number, 3e-4, entropy, {}, observation.watch(observed));
    if (observed) {
      StepReport report{.step = number};
      entropy.reduce(*communicator);
      observation.report(entropy.report(), outcome, report);
    }
    return outcome.loss;
  };
  time_steps(result, options.steps, [&](std::int64_t number) { return take(number, false); });
  if (options.observe) {
    result.observing_seconds = time_pairs(result.device, options.steps, take);
  }
  const ForwardCost cost = model->cost(result.context_length);
  result.flops = static_cast<double>(result.rows * result.context_length) *
                 (3.0 * cost.matmul_flops_per_token + 3.5 * cost.attention_flops_per_token);
  return result;
}

}  // namespace clausius
