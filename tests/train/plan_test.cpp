// SPDX-License-Identifier: Apache-2.0
// Plans against runs: the memory they foretell, the parameters and arithmetic they count, and that they cost nothing.
#include "train/plan.h"

#include <fstream>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/allocator.h"
#include "core/error.h"
#include "tests/support/paths.h"
#include "tests/support/temporary_directory.h"
#include "train/machine_profile.h"
#include "train/run_history.h"
#include "train/trainer.h"

namespace clausius {
namespace {

using ::testing::HasSubstr;

// What a plan may be off by. It takes the same step that training takes, so what is left is the kernels' own scratch and what
// the batches hold: 3 % was the most we saw.
constexpr double kBound = 0.05;

std::string text_of_words(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) {
    text += "word" + std::to_string(i * 7919 % 1000) + (i % 40 == 39 ? ".\n\n" : " ");
  }
  return text;
}

class PlanAndRun : public ::testing::Test {
 protected:
  PlanAndRun() { std::ofstream(directory_ / "text.txt") << text_of_words(20000); }

  Recipe recipe(const std::string& name, std::vector<std::string> overrides) const {
    overrides.push_back("data.train=" + (directory_ / "text.txt").string());
    overrides.insert(overrides.end(), {"parallel.threads=1", "device=cpu"});
    return load_recipe(test::source_dir() / "recipes" / (name + ".yaml"), overrides);
  }

  // The peak that two steps of a run report; its only checkpoint comes after the second.
  std::int64_t measured_peak(const Recipe& planned) {
    RunOptions options;
    options.directory = directory_ / ("run" + std::to_string(++runs_));
    const std::unique_ptr<Communicator> communicator = make_communicator();
    Log log(false);
    {
      Trainer trainer(planned, options, *communicator, log);
      EXPECT_EQ(trainer.run(), ExitCode::kDone);
    }
    return read_run_history(options.directory / "metrics.jsonl").steps.back().peak_memory_bytes;
  }

  void expect_foretold(const std::string& name, const std::vector<std::string>& overrides) {
    const Recipe planned = recipe(name, overrides);
    const auto plan = static_cast<double>(make_training_plan(planned, 1, 1).chosen().step_bytes());
    const auto run = static_cast<double>(measured_peak(planned));
    EXPECT_NEAR(plan / run, 1.0, kBound)
        << name << " " << ::testing::PrintToString(overrides) << ": planned " << plan / (1 << 20)
        << " MiB, measured " << run / (1 << 20) << " MiB";
  }

  test::TemporaryDirectory directory_;
  int runs_ = 0;
};

TEST_F(PlanAndRun, TinyMemoryIsForetold) {
  for (const std::vector<std::string>& overrides : std::vector<std::vector<std::string>>{
           {},
           {"precision=bf16"},
           {"train.recompute=block"},
           {"data.packing=stream"},
           {"train.micro_batch=3"},
           {"model.dropout=0.1", "model.num_kv_heads=2", "model.tie_embeddings=false"},
           {"model.feed_forward=mlp", "model.norm=layer_norm", "model.position=learned"},
           {"optimizer={kind: sgd, lr: 0.1}", "model.norm={kind: rms_norm, place: post}"}}) {
    std::vector<std::string> all = overrides;
    all.emplace_back("train.steps=2");
    expect_foretold("tiny_cpu", all);
  }
}

// 0.9 M parameters, 16 rows of 256 tokens, a vocabulary that makes the head's chunks count.
TEST_F(PlanAndRun, MediumMemoryIsForetold) {
  expect_foretold("quickstart",
                  {"train.steps=2", "data.documents=blank_line", "schedule.warmup=1"});
  expect_foretold("quickstart", {"train.steps=2", "data.documents=blank_line", "schedule.warmup=1",
                                 "model.vocab_size=8192", "model.layers=2", "precision=bf16",
                                 "train.recompute=block", "train.batch_tokens=2048"});
}

TEST_F(PlanAndRun, CountsWhatTheModelHas) {
  const Recipe tiny = recipe("tiny_cpu", {});
  const TrainingPlan plan = make_training_plan(tiny, 1, 1);
  Recipe known = tiny;
  known.tokenizer_vocab_size = 257;
  const std::unique_ptr<Model> model = known.model.make(known.model_context());
  EXPECT_EQ(plan.vocab_size, 257);
  EXPECT_EQ(plan.parameters, model->parameters().num_parameters());
  std::int64_t sum = 0;
  for (const PartPlan& part : plan.parts) {
    sum += part.parameters;
    EXPECT_EQ(part.count, part.name == "blocks" ? 2 : 1) << part.name;
  }
  EXPECT_EQ(sum, plan.parameters);
  // 16 rows over 4 ranks are one micro-batch of 4; activations shrink with it, parameters stay.
  const TrainingPlan shared = make_training_plan(tiny, 4, 1);
  EXPECT_EQ(shared.run.micro_batch, 4);
  EXPECT_EQ(shared.chosen().parameters, plan.chosen().parameters);
  EXPECT_LT(shared.chosen().activations, plan.chosen().activations / 3);
  EXPECT_EQ(shared.matmul_flops, plan.matmul_flops);
}

std::int64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::int64_t size = 0;
  std::int64_t resident = 0;
  statm >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

TEST(Plan, ModelsBeyondEveryMachineTakeNothing) {
  constexpr std::int64_t kLayers = 96;
  constexpr std::int64_t kWidth = 12288;
  constexpr std::int64_t kContext = 2048;
  constexpr std::int64_t kVocabulary = 50304;
  const Recipe recipe =
      load_recipe(test::source_dir() / "recipes" / "gpt2_124m.yaml",
                  {"model.layers=96", "model.model_dim=12288", "model.num_heads=96",
                   "data.context_length=2048", "train.batch_tokens=1048576", "precision=bf16"});
  const std::size_t used = allocator(kCpu).stats().used_bytes;
  const std::int64_t resident = resident_bytes();
  const TrainingPlan plan = make_training_plan(recipe, 1, 1);
  EXPECT_LT(resident_bytes() - resident, std::int64_t{64} << 20);
  EXPECT_EQ(allocator(kCpu).stats().used_bytes, used);

  const std::int64_t matrices = 12 * kWidth * kWidth;
  EXPECT_EQ(plan.parameters, kVocabulary * kWidth + kContext * kWidth +
                                 kLayers * (matrices + 13 * kWidth) + 2 * kWidth);
  EXPECT_FALSE(plan.fits());
  EXPECT_GT(plan.chosen().parameters, 4 * plan.parameters - 1);
  EXPECT_LT(plan.memory[1].activations, plan.memory[0].activations / 4);
  // A token goes through every matrix and the head, forward and twice backward; attention sees half of the keys.
  const double tokens = 1048576;
  const double products =
      6.0 * static_cast<double>(kLayers * matrices + kVocabulary * kWidth) * tokens;
  EXPECT_NEAR(plan.matmul_flops / products, 1.0, 1e-12);
  const double attention =
      3.5 * static_cast<double>(kLayers) * 2.0 * static_cast<double>(kContext * kWidth) * tokens;
  EXPECT_NEAR(plan.attention_flops / attention, 1.0, 1e-12);
}

Recipe gpt2(int rows, std::vector<std::string> overrides) {
  overrides.push_back("train.batch_tokens=" + std::to_string(1024 * rows));
  overrides.emplace_back("train.micro_batch=16");
  return load_recipe(test::source_dir() / "recipes" / "gpt2_124m.yaml", overrides);
}

// The peaks that steps of 16 rows had on an H100 of 80 GB, printed to 0.1 GiB.
TEST(Plan, DeviceMemoryIsForetoldWithoutADevice) {
  constexpr double kGibibyte = 1 << 30;
  const MachineProfile& h100 = find_machine_profile("h100");
  for (const auto& [precision, measured] :
       {std::pair("precision=f32", 11.7), std::pair("precision=bf16", 7.4)}) {
    const TrainingPlan plan = make_training_plan(gpt2(16, {precision}), 1, 1, &h100);
    EXPECT_EQ(plan.device, kCuda);
    const MemoryPlan& memory = plan.chosen();
    EXPECT_NEAR(static_cast<double>(memory.step_bytes()) / kGibibyte, measured, 0.05) << precision;
    EXPECT_EQ(memory.workspace, std::int64_t{32} << 20);
    // Half a gigabyte of logits at most where the CPU has 64 MiB; what is kept for reuse is no part of the peak.
    EXPECT_GT(memory.logits_chunk, std::int64_t{256} << 20);
    EXPECT_LE(memory.logits_chunk, std::int64_t{512} << 20);
    EXPECT_GT(memory.kept, 0);
    EXPECT_EQ(memory.total_bytes(), memory.step_bytes() + memory.kept);
    EXPECT_EQ(plan.available_bytes, h100.memory_bytes);
  }
}

TEST(Plan, ProfilesScaleWithRanks) {
  const MachineProfile& h200 = find_machine_profile("h200");
  const TrainingPlan one = make_training_plan(gpt2(64, {}), 1, 1, &h200);
  const TrainingPlan four = make_training_plan(gpt2(64, {}), 4, 1, &h200);
  EXPECT_EQ(four.available_bytes, 4 * one.available_bytes);
  EXPECT_EQ(four.chosen().parameters, one.chosen().parameters);
  // ZeRO-1 divides the moments alone; a block is at most an eighth larger than what was asked for.
  const TrainingPlan shared = make_training_plan(gpt2(64, {"parallel.zero=1"}), 4, 1, &h200);
  const auto moments = static_cast<double>(one.chosen().optimizer);
  EXPECT_NEAR(static_cast<double>(shared.chosen().optimizer) / moments, 0.25, 0.04);
  EXPECT_EQ(four.chosen().optimizer, one.chosen().optimizer);
  EXPECT_EQ(shared.chosen().gradients, four.chosen().gradients);
  EXPECT_THAT(to_text(four, 1e12), HasSubstr("for 4 ranks on NVIDIA H200"));
  EXPECT_EQ(to_json(four, 1e12).at("device").text(), "cuda:0");
  try {
    (void)find_machine_profile("h1000");
    FAIL() << "there is no such machine";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("h100"));
  }
  for (const MachineProfile& profile : machine_profiles()) {
    EXPECT_GT(profile.flops(Dtype::kBf16), profile.flops(Dtype::kF32)) << profile.name;
  }
}

TEST(Plan, TablesHoldEveryCategory) {
  const Recipe recipe = load_recipe(test::source_dir() / "recipes" / "gpt2_124m.yaml", {});
  const TrainingPlan plan = make_training_plan(recipe, 2, 1);
  const std::string text = to_text(plan, 1e12);
  for (const char* part : {"parameters  124.5M", "12 of 7.1M each", "gradients", "optimizer state",
                           "activations kept for backward", "batches read ahead",
                           "copy for a checkpoint", "2 ranks", "a step takes at least"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  const Json json = to_json(plan, 1e12);
  const Json& none = json.at("memory_bytes").at("none");
  std::int64_t sum = 0;
  for (const char* key : {"parameters", "compute_copy", "gradients", "optimizer", "activations",
                          "working", "batches"}) {
    sum += none.at(key).integer();
  }
  EXPECT_EQ(sum, none.at("step_peak").integer());
  EXPECT_EQ(none.at("compute_copy").integer(), 0);
  EXPECT_NEAR(json.at("least_step_seconds").number(),
              (plan.matmul_flops + plan.attention_flops) / 2e12, 1e-9);
}

}  // namespace
}  // namespace clausius
