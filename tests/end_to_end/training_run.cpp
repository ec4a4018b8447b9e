// SPDX-License-Identifier: Apache-2.0
// Starting runs and reading their records.
#include "tests/end_to_end/training_run.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>

#include <gtest/gtest.h>

#include "tests/support/op_case.h"
#include "tests/support/paths.h"

namespace clausius::test {
namespace {

constexpr auto kLimit = std::chrono::minutes(4);

std::vector<std::string> launcher_of(int ranks) {
#ifdef CLAUSIUS_HAS_MPI
  if (ranks > 0) {
    return {test::mpiexec(), "-n", std::to_string(ranks)};
  }
#endif
  EXPECT_EQ(ranks, 0) << "this build has no MPI";
  return {};
}

// Root and more ranks than cores are allowed; leaks inside the MPI library are not ours.
Environment environment_of(int ranks) {
  if (ranks == 0) {
    return {};
  }
  return {{"OMPI_ALLOW_RUN_AS_ROOT", "1"},
          {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
          {"OMPI_MCA_rmaps_base_oversubscribe", "1"},
          {"ASAN_OPTIONS", "detect_leaks=0"}};
}

}  // namespace

TrainingRun::TrainingRun(const std::vector<std::string>& arguments, int ranks) {
  again(arguments, ranks);
}

void TrainingRun::again(const std::vector<std::string>& arguments, int ranks) {
  std::vector<std::string> command = launcher_of(ranks);
  const std::filesystem::path recipe = test::source_dir() / "recipes" / "tiny_cpu.yaml";
  command.insert(command.end(), {test::program(), "train", recipe.string(), "--run",
                                 directory().string(), "parallel.threads=1"});
  command.insert(command.end(), arguments.begin(), arguments.end());
  process_ = run_process(command, environment_of(ranks), kLimit);
}

std::vector<Json> TrainingRun::metrics() const {
  std::vector<Json> lines;
  std::ifstream stream(directory() / "metrics.jsonl");
  for (std::string line; std::getline(stream, line);) {
    lines.push_back(Json::parse(line, "metrics.jsonl"));
  }
  return lines;
}

std::vector<Json> TrainingRun::steps() const {
  EXPECT_EQ(process_.exit_code, 0) << process_.output;
  std::vector<Json> steps;
  for (const Json& line : metrics()) {
    if (line.find("loss") != nullptr) {
      steps.push_back(line);
    }
  }
  return steps;
}

Checkpoint TrainingRun::checkpoint(std::int64_t step) const {
  return read_checkpoint(checkpoint_path(directory() / "checkpoints", step));
}

std::vector<std::string> record_of(const TrainingRun& run) {
  constexpr std::array<std::string_view, 6> kClock = {"wall_time",         "step_ms",
                                                      "tokens_per_second", "peak_memory_bytes",
                                                      "model_tflops",      "fraction_of_peak"};
  EXPECT_EQ(run.process().exit_code, 0) << run.process().output;
  std::vector<std::string> record;
  for (const Json& line : run.metrics()) {
    if (line.find("event") != nullptr) {
      continue;
    }
    Json rest;
    for (const auto& [key, value] : line.object()) {
      if (std::find(kClock.begin(), kClock.end(), key) == kClock.end()) {
        rest.set(key, value);
      }
    }
    record.push_back(rest.dump());
  }
  return record;
}

void expect_same_record(const TrainingRun& got, const TrainingRun& want, const std::string& what) {
  const std::vector<std::string> lines = record_of(got);
  const std::vector<std::string> wanted = record_of(want);
  const std::size_t common = std::min(lines.size(), wanted.size());
  for (std::size_t i = 0; i < common; ++i) {
    ASSERT_EQ(lines[i], wanted[i]) << what << ": line " << i + 1;
  }
  EXPECT_EQ(lines.size(), wanted.size()) << what;
}

void expect_same_checkpoint(const Checkpoint& got,
                            const Checkpoint& want,
                            const std::string& what) {
  EXPECT_EQ(got.step, want.step) << what;
  EXPECT_EQ(got.tokens, want.tokens) << what;
  EXPECT_EQ(got.samples, want.samples) << what;
  ASSERT_EQ(got.tensors.size(), want.tensors.size()) << what;
  for (const CheckpointTensor& tensor : want.tensors) {
    const Tensor other = got.find(tensor.role, tensor.name);
    ASSERT_TRUE(other.defined()) << what << ": " << tensor.name;
    expect_bits_equal(other, tensor.value, what + ": " + tensor.name);
  }
}

void expect_same_losses(const std::vector<Json>& got,
                        const std::vector<Json>& want,
                        double limit,
                        const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  ASSERT_FALSE(want.empty()) << what;
  for (std::size_t i = 0; i < want.size(); ++i) {
    ASSERT_EQ(got[i].at("step").integer(), want[i].at("step").integer()) << what;
    const double loss = want[i].at("loss").number();
    const double difference = std::abs(got[i].at("loss").number() - loss) / loss;
    EXPECT_LE(difference, limit) << what << ", step " << want[i].at("step").integer();
  }
}

}  // namespace clausius::test
