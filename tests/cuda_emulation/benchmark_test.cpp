// SPDX-License-Identifier: Apache-2.0
// The table of benchmarks and the plan of a device's memory, on the emulated one.
#include <gtest/gtest.h>

#include "core/allocator.h"
#include "tests/support/paths.h"
#include "tests/support/tiny_benchmarks.h"
#include "train/benchmarks/step.h"
#include "train/benchmarks/timing.h"
#include "train/plan.h"

namespace clausius {
namespace {

TEST(CudaBenchmarks, EveryRowRunsOnTheDevice) {
  for (const MicroBenchmark& benchmark : micro_benchmarks(kCuda, test::tiny_benchmarks())) {
    const std::size_t host = allocator(kCpu).stats().used_bytes;
    const MicroWork work = benchmark.prepare();
    // Operands that stayed on the host would be copied in every call: the copy is what would be timed.
    EXPECT_EQ(allocator(kCpu).stats().used_bytes, host) << benchmark.name;
    work.run();
  }
}

TEST(CudaBenchmarks, TimeIsThatOfACall) {
  const Tensor x = normal_values({16}, Dtype::kF32, kCuda);
  int calls = 0;
  EXPECT_GT(measure_seconds(kCuda, [&] { ++calls; }), 0.0);
  EXPECT_GE(calls, 7);  // one, one at least that warms up, five stretches
}

TEST(CudaBenchmarks, StepTakesWhatThePlanSays) {
  // The plan leaves out what kernels take for a moment. It rounds blocks up by an eighth at most, as allocators of real devices do.
  constexpr double kLeast = 0.95;
  constexpr double kMost = 1.125;
  for (const char* precision : {"precision=f32", "precision=bf16"}) {
    Recipe recipe =
        load_recipe(test::source_dir() / "recipes" / "tiny_cpu.yaml",
                    {precision, "device=cuda", "train.batch_tokens=128", "data.context_length=32",
                     "model.vocab_size=257", "data.packing=stream", "parallel.threads=1"});
    const StepBenchmark step = benchmark_step(recipe, {.rows = 4, .steps = 1});
    EXPECT_EQ(step.device, kCuda);
    EXPECT_GE(step.held_memory_bytes, step.peak_memory_bytes);
    const TrainingPlan plan = make_training_plan(recipe, 1, 1);
    const auto planned = static_cast<double>(plan.chosen().step_bytes() - plan.chosen().workspace);
    const double ratio = planned / static_cast<double>(step.peak_memory_bytes);
    EXPECT_GE(ratio, kLeast) << precision;
    EXPECT_LE(ratio, kMost) << precision;
  }
}

}  // namespace
}  // namespace clausius
