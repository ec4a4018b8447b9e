// SPDX-License-Identifier: Apache-2.0
// The table of benchmarks: every row can be run, says what it costs, and is found by its name.
#include <algorithm>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "tests/support/tiny_benchmarks.h"
#include "train/benchmarks/micro.h"
#include "train/benchmarks/timing.h"

namespace clausius {
namespace {

TEST(Benchmarks, EveryRowRuns) {
  std::set<std::string> labels;
  for (const MicroBenchmark& benchmark : micro_benchmarks(kCpu, test::tiny_benchmarks())) {
    const MicroWork work = benchmark.prepare();
    work.run();
    // Bound by arithmetic or by memory.
    EXPECT_NE(work.flops > 0, work.bytes > 0) << benchmark.name;
    EXPECT_TRUE(labels.insert(concat(benchmark.name, "/", benchmark.dtype)).second)
        << benchmark.name << " is there twice";
  }
  for (const char* op : {"matmul/", "linear/forward_bias_gelu/", "attention/forward/",
                         "gelu/backward/", "lm_head/gradients/", "adamw/", "layer_norm/backward/",
                         "embedding/backward/", "rope/", "copy/transposed/"}) {
    EXPECT_TRUE(std::any_of(labels.begin(), labels.end(), [&](const std::string& label) {
      return label.starts_with(op);
    })) << op;
  }
}

TEST(Benchmarks, ProductsAndAttentionCountTheirArithmetic) {
  for (const MicroBenchmark& benchmark : micro_benchmarks(kCpu, test::tiny_benchmarks())) {
    const double flops = benchmark.name.starts_with("matmul/16x") ? 2.0 * 16 * 16 * 16
                         : benchmark.name == "attention/forward/B2_H2_T16_D64/causal"
                             ? 2.0 * 2 * 2 * 16 * 16 * 64
                         : benchmark.name == "attention/forward_backward/B2_H2_T16_D64/full"
                             ? 3.5 * 4.0 * 2 * 2 * 16 * 16 * 64
                             : 0.0;
    if (flops > 0) {
      EXPECT_EQ(benchmark.prepare().flops, flops) << benchmark.name;
    }
  }
}

TEST(Benchmarks, FiltersSelect) {
  EXPECT_TRUE(selects("", "attention/forward/bf16"));
  EXPECT_TRUE(selects("attention", "attention/forward/bf16"));
  EXPECT_TRUE(selects("adamw,attention+bf16", "attention/forward/bf16"));
  EXPECT_FALSE(selects("adamw,attention+f32", "attention/forward/bf16"));
  EXPECT_FALSE(selects("adamw,", "attention/forward/bf16"));
  EXPECT_FALSE(selects("attention/forward/bf16/more", "attention/forward/bf16"));
}

TEST(Benchmarks, ValuesAreNormalAndRowsDiffer) {
  const Tensor x = normal_values({300, 1000}, Dtype::kF32, kCpu);
  EXPECT_TRUE(x.is_contiguous());
  double squares = 0;
  for (const float value : x.span<float>()) {
    squares += static_cast<double>(value) * static_cast<double>(value);
  }
  EXPECT_NEAR(squares / 300000, 1.0, 0.05);
  EXPECT_NE(x.data<float>()[0], x.data<float>()[1000]);
  EXPECT_EQ(x.data<float>()[0], x.data<float>()[65537]);
}

TEST(Benchmarks, TimeIsThatOfACall) {
  int calls = 0;
  EXPECT_GT(measure_seconds(kCpu, [&] { ++calls; }), 0.0);
  EXPECT_GE(calls, 4);
}

}  // namespace
}  // namespace clausius
