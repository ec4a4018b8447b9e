// SPDX-License-Identifier: Apache-2.0
// The commands that look at a trained model, a recipe or the machine, as scripts see them.
#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/hdf5.h"
#include "core/parallel.h"
#include "tests/end_to_end/training_run.h"
#include "tests/support/paths.h"
#include "train/training_state.h"

namespace clausius {
namespace {

using test::ProcessResult;
using test::TrainingRun;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr auto kLimit = std::chrono::minutes(4);

ProcessResult clausius_program(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), test::program());
  return test::run_process(arguments, {}, kLimit);
}

Json json_of(const std::vector<std::string>& arguments) {
  const ProcessResult result = clausius_program(arguments);
  EXPECT_EQ(result.exit_code, 0) << result.output;
  return Json::parse(result.output, arguments.front());
}

// Two evaluations; the model has learned a little.
const std::vector<std::string> kShort = {"train.steps=20", "evaluate.every=10", "monitor.every=5"};

TEST(Commands, GenerateContinuesAText) {
  const TrainingRun run(kShort);
  const std::string directory = run.directory().string();
  const std::vector<std::string> command = {"generate", directory, "parallel.threads=1",
                                            "--prompt", "The ",    "--max-tokens",
                                            "30",       "--seed",  "7",
                                            "--json"};
  const Json first = json_of(command);
  EXPECT_EQ(first.at("step").integer(), 20);
  EXPECT_EQ(first.at("prompt").text(), "The ");
  EXPECT_LE(first.at("tokens").array().size(), 30U);
  EXPECT_EQ(json_of(command).at("tokens").dump(), first.at("tokens").dump());
  std::vector<std::string> other = command;
  other[8] = "8";
  EXPECT_NE(json_of(other).at("tokens").dump(), first.at("tokens").dump());

  const std::string checkpoint = (run.directory() / "checkpoints" / "step_000000020.h5").string();
  const ProcessResult piped = test::run_process(
      {"sh", "-c",
       "printf 'Stra\\303\\237e' | '" + test::program() + "' generate '" + checkpoint +
           "' --prompt - --max-tokens 5 --temperature 0 parallel.threads=1"});
  EXPECT_EQ(piped.exit_code, 0);
  EXPECT_THAT(piped.output, StartsWith("Stra\xC3\x9F"
                                       "e"));
  // No prompt: the beginning of a document.
  EXPECT_EQ(clausius_program({"generate", directory, "--max-tokens", "3", "parallel.threads=1"})
                .exit_code,
            0);
  EXPECT_EQ(clausius_program({"generate", directory, "--top-p", "1.5"}).exit_code, 2);
  EXPECT_EQ(clausius_program({"generate", "no/such/run"}).exit_code, 3);
}

TEST(Commands, GenerateNeedsATokenizer) {
  const TrainingRun run({"train.steps=1"});
  Checkpoint checkpoint = run.checkpoint(1);
  checkpoint.texts.erase("tokenizer");
  const std::string file = (run.directory() / "without.h5").string();
  write_checkpoint(file, checkpoint);
  const ProcessResult result = clausius_program({"generate", file, "--prompt", "x"});
  EXPECT_EQ(result.exit_code, static_cast<int>(ExitCode::kData));
  EXPECT_THAT(result.output, HasSubstr("without.h5: holds no tokenizer"));
}

TEST(Commands, LearnedPositionsEndAText) {
  const TrainingRun run({"train.steps=1", "model.position=learned"});
  const Json text = json_of({"generate", run.directory().string(), "--prompt", "ab", "--max-tokens",
                             "500", "parallel.threads=1", "--json"});
  const std::string stop = text.at("stop").text();
  EXPECT_TRUE(stop == "context" || stop == "end_of_text") << stop;
  EXPECT_LE(text.at("tokens").array().size(), 63U);
  const ProcessResult too_long =
      clausius_program({"generate", run.directory().string(), "--prompt", std::string(65, 'a')});
  EXPECT_EQ(too_long.exit_code, 2);
  EXPECT_THAT(too_long.output, HasSubstr("the prompt has 65 tokens"));
}

TEST(Commands, EvalScoresAsTheRunDid) {
  const TrainingRun run(kShort);
  const Json score = json_of({"eval", run.directory().string(), "--json"});
  const std::vector<Json> lines = run.metrics();
  const auto last = std::find_if(lines.rbegin(), lines.rend(),
                                 [](const Json& line) { return line.find("val_loss") != nullptr; });
  ASSERT_NE(last, lines.rend());
  // Other micro-batches, so equal up to rounding.
  EXPECT_NEAR(score.at("val_loss").number(), last->at("val_loss").number(),
              1e-5 * last->at("val_loss").number());
  EXPECT_NEAR(score.at("val_bits_per_byte").number(), last->at("val_bits_per_byte").number(),
              1e-5 * last->at("val_bits_per_byte").number());
  EXPECT_EQ(score.at("entropy_normalized").array().size(), 2U);
  EXPECT_EQ(score.at("entropy_normalized").array()[0].array().size(), 4U);

  const std::string other = (run.directory() / "other.txt").string();
  std::ofstream(other) << "A text of its own.\n\nIt has two documents.\n";
  const ProcessResult result =
      clausius_program({"eval", run.directory().string(), "data.validation=" + other});
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("validation loss"));
  EXPECT_THAT(result.output, HasSubstr("share of the attainable"));
  EXPECT_EQ(
      clausius_program({"eval", run.directory().string(), "data.validation_ratio=0"}).exit_code, 2);
}

TEST(Commands, EvalWritesExactLogits) {
  const TrainingRun run({"train.steps=2"});
  const std::string tokens = (run.directory() / "tokens.h5").string();
  const std::string logits = (run.directory() / "logits.h5").string();
  std::vector<std::int32_t> ids(48);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    ids[i] = static_cast<std::int32_t>(i * 37 % 257);
  }
  const Tensor tokens_BT = Tensor::from(ids, {3, 16});
  Hdf5Writer writer(tokens);
  writer.tensor("tokens", tokens_BT);
  writer.close();
  const ProcessResult result =
      clausius_program({"eval", run.directory().string(), "--tokens", tokens, "--logits-out",
                        logits, "parallel.threads=1"});
  ASSERT_EQ(result.exit_code, 0) << result.output;
  const Tensor written = Hdf5Reader(logits).tensor("logits");
  set_num_threads(1);
  const LoadedModel loaded = load_model(run.directory());
  const Tensor expected = loaded.language_model().logits(tokens_BT);
  ASSERT_EQ(written.shape(), (Shape{3, 16, 257}));
  ASSERT_EQ(written.dtype(), Dtype::kF32);
  const auto got = written.span<float>();
  const auto want = expected.span<float>();
  EXPECT_TRUE(std::equal(got.begin(), got.end(), want.begin(), want.end()));
  EXPECT_EQ(clausius_program({"eval", run.directory().string(), "--tokens", tokens}).exit_code, 2);
  EXPECT_EQ(clausius_program({"eval", run.directory().string(), "--tokens",
                              run.directory() / "none.h5", "--logits-out", logits})
                .exit_code,
            3);
}

TEST(Commands, InspectShowsCheckpointsAndRuns) {
  const TrainingRun run(kShort);
  const std::string picture = (run.directory() / "run.svg").string();
  const Json both = json_of({"inspect", run.directory().string(), "--json", "--plot", picture});
  const Json& checkpoint = both.at("checkpoint");
  EXPECT_EQ(checkpoint.at("step").integer(), 20);
  EXPECT_EQ(checkpoint.at("recipe").text(), "tiny_cpu");
  EXPECT_EQ(checkpoint.at("threads").integer(), 1);
  EXPECT_EQ(checkpoint.at("aliases").at("head.weight").text(), "embedding.weight");
  std::int64_t elements = 0;
  for (const Json& parameter : checkpoint.at("parameters").array()) {
    std::int64_t product = 1;
    for (const Json& size : parameter.at("shape").array()) {
      product *= size.integer();
    }
    elements += product;
    EXPECT_GT(parameter.at("norm").number(), 0.0) << parameter.at("path").text();
  }
  EXPECT_EQ(elements, checkpoint.at("num_parameters").integer());
  EXPECT_EQ(both.at("run").at("loss").number(), run.steps().back().at("loss").number());
  EXPECT_EQ(both.at("run").at("last_event").text(), "end");
  EXPECT_THAT(read_file(picture), StartsWith("<svg "));

  const ProcessResult text = clausius_program({"inspect", run.directory().string()});
  for (const char* part : {"embedding.weight ", "matrix", "step 20: loss", "validation loss",
                           "entropy in nats", "micro-batch"}) {
    EXPECT_THAT(text.output, HasSubstr(part));
  }
  const std::string file = (run.directory() / "checkpoints" / "step_000000020.h5").string();
  EXPECT_TRUE(json_of({"inspect", file, "--json"}).at("run").is_null());
  EXPECT_EQ(clausius_program({"inspect", file, "--plot", picture}).exit_code, 2);
  EXPECT_EQ(clausius_program({"inspect", "no/such"}).exit_code, 3);
}

TEST(Commands, PlanForetells) {
  const Json plan = json_of({"plan", "gpt2_124m", "-n", "2", "train.recompute=block", "--json"});
  EXPECT_EQ(plan.at("parameters").integer(), 124475904);
  EXPECT_EQ(plan.at("ranks").integer(), 2);
  EXPECT_EQ(plan.at("recompute").text(), "block");
  EXPECT_GT(plan.at("peak_flops").number(), 0.0);
  EXPECT_THAT(clausius_program({"plan", "tiny_cpu"}).output, HasSubstr("fits: "));
  EXPECT_EQ(clausius_program({"plan", "tiny_cpu", "-n", "0"}).exit_code, 2);
  // A device that this machine need not have.
  const Json there =
      json_of({"plan", "gpt2_124m", "precision=bf16", "--machine", "h100", "--json"});
  EXPECT_EQ(there.at("device").text(), "cuda:0");
  EXPECT_EQ(there.at("peak_flops").number(), 989e12);
  EXPECT_GT(there.at("memory_bytes").at("none").at("workspace").integer(), 0);
  EXPECT_EQ(clausius_program({"plan", "tiny_cpu", "--machine", "abacus"}).exit_code, 2);
  EXPECT_EQ(clausius_program({"plan", "tiny_cpu", "model.layers=x"}).exit_code, 2);
}

TEST(Commands, OutOfMemoryShowsThePlan) {
  // Five terabytes of parameters: refused before a page is touched.
  const ProcessResult result =
      TrainingRun({"model.model_dim=131072", "model.num_heads=1024", "model.layers=6"}).process();
  EXPECT_EQ(result.exit_code, 1) << result.output;
  EXPECT_THAT(result.output, HasSubstr("out of memory: asked for"));
  EXPECT_THAT(result.output, HasSubstr("memory of a rank"));
  EXPECT_THAT(result.output, HasSubstr("does not fit"));
}

TEST(Commands, DoctorKnowsTheMachine) {
  const Json report = json_of({"doctor", "--json"});
  EXPECT_GE(report.at("cores").integer(), 1);
  EXPECT_GT(report.at("memory_bytes").integer(), 0);
  EXPECT_EQ(report.at("ranks").integer(), 1);
  for (const char* library : {"oneDNN", "HDF5", "Highway"}) {
    EXPECT_FALSE(report.at("libraries").at(library).text().empty()) << library;
  }
  EXPECT_GT(report.at("kernel_tables").integer(), 20);
  const ProcessResult bound = test::run_process({"taskset", "-c", "0", test::program(), "doctor"},
                                                {{"OMP_NUM_THREADS", "3"}});
  EXPECT_EQ(bound.exit_code, 0) << bound.output;
  EXPECT_THAT(bound.output, HasSubstr("1 in the affinity mask"));
  EXPECT_THAT(bound.output, HasSubstr("OMP_NUM_THREADS=3"));
  EXPECT_THAT(bound.output, HasSubstr("parallel.threads decides"));
}

TEST(Commands, BenchPutsCeilingsBeside) {
  const Json micro = json_of({"bench", "rms_norm", "--device", "cpu", "--threads", "1", "--json"});
  EXPECT_EQ(micro.at("benchmarks").array().size(), 4U);  // forward, backward; f32, bf16
  EXPECT_TRUE(micro.at("steps").array().empty());
  EXPECT_GT(micro.at("ceilings").at("onednn_f32_flops").number(), 0.0);
  EXPECT_GT(micro.at("benchmarks").array()[0].at("fraction_of_ceiling").number(), 0.0);
  const Json steps =
      json_of({"bench", "step", "--device", "cpu", "precision=f32", "--recipe", "tiny_cpu",
               "--rows", "2", "--steps", "1", "--threads", "1", "--json"});
  EXPECT_TRUE(steps.at("benchmarks").array().empty());
  ASSERT_EQ(steps.at("steps").array().size(), 1U);
  const Json& step = steps.at("steps").array()[0];
  EXPECT_EQ(step.at("context_length").integer(), 64);
  EXPECT_NEAR(step.at("tokens_per_second").number() * step.at("step_ms").number(), 128e3, 1.0);
  EXPECT_NEAR(step.at("loss").number(), 5.55, 0.2);  // ln 256 tokens, evenly drawn
  EXPECT_EQ(clausius_program({"bench", "no_such_benchmark"}).exit_code, 2);
  const std::string names = clausius_program({"bench", "adamw+f32,step", "--list"}).output;
  EXPECT_THAT(names, StartsWith("adamw/"));
  EXPECT_THAT(names, EndsWith("/f32\nstep\n"));
}

#ifdef CLAUSIUS_HAS_MPI

TEST(CommandsRanks, EvalAndDoctorRunOnTwo) {
  const test::Environment environment = {{"OMPI_ALLOW_RUN_AS_ROOT", "1"},
                                         {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
                                         {"OMPI_MCA_rmaps_base_oversubscribe", "1"},
                                         {"ASAN_OPTIONS", "detect_leaks=0"}};
  const auto on_two = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {test::mpiexec(), "-n", "2", test::program()});
    const ProcessResult result = test::run_process(arguments, environment, kLimit);
    EXPECT_EQ(result.exit_code, 0) << result.output;
    return Json::parse(result.output, arguments[4]);
  };
  EXPECT_EQ(on_two({"doctor", "--json"}).at("ranks").integer(), 2);
  const TrainingRun run({"train.steps=5", "data.validation_ratio=0.3"});
  const std::string directory = run.directory().string();
  const Json one = json_of({"eval", directory, "parallel.threads=1", "--json"});
  const Json two = on_two({"eval", directory, "parallel.threads=1", "--json"});
  EXPECT_EQ(two.at("samples").integer(), one.at("samples").integer());
  EXPECT_NEAR(two.at("val_loss").number(), one.at("val_loss").number(),
              1e-5 * one.at("val_loss").number());
  const double entropy_one = one.at("entropy_mean").array()[0].array()[0].number();
  EXPECT_NEAR(two.at("entropy_mean").array()[0].array()[0].number(), entropy_one,
              1e-5 * entropy_one);
}

#endif

}  // namespace
}  // namespace clausius
