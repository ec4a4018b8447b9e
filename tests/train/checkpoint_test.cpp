// SPDX-License-Identifier: Apache-2.0
// Checkpoints: what is written comes back, damage is named and passed over, and pruning keeps what it must.
#include "train/checkpoint.h"

#include <cmath>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <sys/resource.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/io/atomic_file.h"
#include "core/io/file.h"
#include "tests/support/random_tensor.h"
#include "tests/support/temporary_directory.h"
#include "train/checkpoint_saver.h"
#include "train/run_lock.h"

namespace clausius {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Checkpoint sample(std::int64_t step) {
  Checkpoint checkpoint;
  checkpoint.step = step;
  checkpoint.tokens = step * 4096;
  checkpoint.samples = step * 16;
  checkpoint.values = {
      {"threads", std::int64_t{2}}, {"loss_mean", 1.25}, {"host", std::string("node-3")}};
  checkpoint.texts = {{"recipe", "name: x\nseed: 1\n"},
                      {"tokenizer", std::string(100000, '{')},
                      {"environment", ""}};
  checkpoint.aliases = {{"head.weight", "embedding.weight"}};
  const std::string at = concat("at ", step, " ");
  const auto values = [&](const std::string& name, const Shape& shape) {
    return test::random_normal(shape, at + name).to(Dtype::kF32);
  };
  checkpoint.tensors = {
      {"embedding.weight", TensorRole::kParameter, values("e", {30, 8})},
      {"blocks.0.norm.gain", TensorRole::kParameter, values("g", {8})},
      {"embedding.weight", TensorRole::kOptimizer, values("m", {30, 8})},
      {"second_moment/embedding.weight", TensorRole::kOptimizer, values("v", {30, 8})},
      {"blocks.0.u", TensorRole::kState, values("u", {8})},
  };
  return checkpoint;
}

void expect_equal(const Checkpoint& a, const Checkpoint& b) {
  EXPECT_EQ(a.step, b.step);
  EXPECT_EQ(a.tokens, b.tokens);
  EXPECT_EQ(a.samples, b.samples);
  EXPECT_EQ(a.score, b.score);
  EXPECT_EQ(a.values, b.values);
  EXPECT_EQ(a.texts, b.texts);
  EXPECT_EQ(a.aliases, b.aliases);
  ASSERT_EQ(a.tensors.size(), b.tensors.size());
  for (std::size_t i = 0; i < a.tensors.size(); ++i) {
    EXPECT_EQ(a.tensors[i].name, b.tensors[i].name);
    EXPECT_EQ(a.tensors[i].role, b.tensors[i].role);
    ASSERT_EQ(a.tensors[i].value.shape(), b.tensors[i].value.shape());
    EXPECT_EQ(
        std::memcmp(a.tensors[i].value.raw(), b.tensors[i].value.raw(), a.tensors[i].value.bytes()),
        0);
  }
}

void damage(const std::filesystem::path& path, const Tensor& tensor) {
  std::string content = read_file(path);
  const std::size_t at = content.find(std::string(reinterpret_cast<const char*>(tensor.raw()), 32));
  ASSERT_NE(at, std::string::npos);
  content[at + 5] = static_cast<char>(content[at + 5] ^ 1);
  std::ofstream(path, std::ios::binary) << content;
}

template <class Call>
std::string io_error_of(const Call& call) {
  try {
    call();
  } catch (const IoError& error) {
    return error.what();
  }
  return "no IoError was thrown";
}

std::vector<std::int64_t> steps_in(const std::filesystem::path& directory) {
  std::vector<std::int64_t> steps;
  for (const CheckpointFile& file : list_checkpoints(directory)) {
    steps.push_back(file.step);
  }
  return steps;
}

TEST(Checkpoint, ComesBackAsItWas) {
  const test::TemporaryDirectory directory;
  const auto path = checkpoint_path(directory.path(), 1200);
  EXPECT_EQ(path.filename(), "step_000001200.h5");
  Checkpoint checkpoint = sample(1200);
  checkpoint.score = 2.5;
  write_checkpoint(path, checkpoint);
  const Checkpoint found = read_checkpoint(path, {.check_finite = true});
  expect_equal(found, checkpoint);
  EXPECT_EQ(found.find(TensorRole::kParameter, "head.weight").shape(), (Shape{30, 8}));
  EXPECT_FALSE(found.find(TensorRole::kOptimizer, "head.weight").defined());
  EXPECT_EQ(read_checkpoint(path, {.optimizer = false}).tensors.size(), 3U);
}

TEST(Checkpoint, DamageIsNamed) {
  const test::TemporaryDirectory directory;
  const auto path = checkpoint_path(directory.path(), 1);
  const Checkpoint checkpoint = sample(1);
  write_checkpoint(path, checkpoint);
  damage(path, checkpoint.tensors[3].value);
  EXPECT_THAT(io_error_of([&] { (void)read_checkpoint(path); }),
              AllOf(HasSubstr("step_000000001.h5"),
                    HasSubstr("'optimizer/second_moment/embedding.weight' is damaged")));
  EXPECT_EQ(read_checkpoint(path, {.optimizer = false}).step, 1);
  {
    Hdf5Writer other(directory / "other.h5");
    other.tensor("x", Tensor::zeros({1}, Dtype::kF32));
    other.close();
  }
  EXPECT_THAT(io_error_of([&] { (void)read_checkpoint(directory / "other.h5"); }),
              HasSubstr("not a checkpoint"));
}

TEST(Checkpoint, NonFiniteValuesAreNamedWhereAsked) {
  const test::TemporaryDirectory directory;
  const auto path = checkpoint_path(directory.path(), 1);
  Checkpoint checkpoint = sample(1);
  checkpoint.tensors[1].value.data<float>()[3] = std::numeric_limits<float>::infinity();
  write_checkpoint(path, checkpoint);
  EXPECT_EQ(read_checkpoint(path).step, 1);
  EXPECT_THAT(io_error_of([&] { (void)read_checkpoint(path, {.check_finite = true}); }),
              HasSubstr("'blocks.0.norm.gain'"));
}

TEST(Checkpoint, NewestValidOneIsTaken) {
  const test::TemporaryDirectory directory;
  EXPECT_FALSE(find_latest_checkpoint(directory / "none").file.has_value());
  for (const std::int64_t step : {100, 200, 300, 400}) {
    write_checkpoint(checkpoint_path(directory.path(), step), sample(step));
  }
  damage(checkpoint_path(directory.path(), 400), sample(400).tensors[0].value);
  const std::string content = read_file(checkpoint_path(directory.path(), 300));
  std::ofstream(checkpoint_path(directory.path(), 300), std::ios::binary)
      << content.substr(0, content.size() / 2);
  // None of these is a checkpoint.
  std::ofstream(directory / "step_000000500.h5.host.1.2.3.tmp") << content;
  std::ofstream(directory / "step_500.h5") << content;
  std::ofstream(directory / "step_00000050x.h5") << content;
  std::ofstream(directory / "step_000000500.h5.set_aside") << content;

  EXPECT_THAT(steps_in(directory.path()), ElementsAre(100, 200, 300, 400));
  const LatestCheckpoint latest = find_latest_checkpoint(directory.path());
  ASSERT_TRUE(latest.file.has_value());
  EXPECT_EQ(latest.file->step, 200);
  EXPECT_THAT(latest.skipped,
              ElementsAre(AllOf(HasSubstr("step_000000400.h5"), HasSubstr("is damaged")),
                          HasSubstr("step_000000300.h5")));
  EXPECT_EQ(set_aside_later_checkpoints(directory.path(), 200).size(), 2U);
  EXPECT_THAT(steps_in(directory.path()), ElementsAre(100, 200));
}

TEST(CheckpointSaver, KeepsTheNewestAndTheBest) {
  for (const bool asynchronous : {false, true}) {
    const test::TemporaryDirectory directory;
    CheckpointSaver saver(directory / "checkpoints",
                          {.keep_last = 2, .keep_best = true, .asynchronous = asynchronous});
    const std::vector<double> scores{3.0, 1.0, std::nan(""), 2.0, 2.5};
    for (std::int64_t i = 0; i < 5; ++i) {
      Checkpoint checkpoint = sample(i);
      checkpoint.score = scores[static_cast<std::size_t>(i)];
      saver.save(checkpoint);
    }
    saver.wait();
    EXPECT_THAT(steps_in(directory / "checkpoints"), ElementsAre(1, 3, 4));
    const std::vector<SavedCheckpoint> finished = saver.take_finished();
    ASSERT_EQ(finished.size(), 5U);
    EXPECT_EQ(finished[4].file.step, 4);
    EXPECT_EQ(finished[4].bytes, sample(4).bytes());
    EXPECT_THAT(finished[4].removed, ElementsAre(checkpoint_path(directory / "checkpoints", 2)));
    EXPECT_THAT(saver.take_finished(), IsEmpty());
  }
}

TEST(CheckpointSaver, BackgroundWritesTheValuesOfTheCall) {
  const test::TemporaryDirectory directory;
  CheckpointSaver saver(directory.path(), {.keep_last = std::nullopt});
  Checkpoint checkpoint = sample(7);
  saver.save(checkpoint);
  for (CheckpointTensor& tensor : checkpoint.tensors) {
    tensor.value.fill(0.0);  // training goes on
  }
  saver.wait();
  expect_equal(read_checkpoint(checkpoint_path(directory.path(), 7)), sample(7));
}

TEST(CheckpointSaver, LeavesLaterAndForeignFilesAlone) {
  const test::TemporaryDirectory directory;
  for (const std::int64_t step : {10, 20, 90}) {
    write_checkpoint(checkpoint_path(directory.path(), step), sample(step));
  }
  std::ofstream(directory / "notes.txt") << "mine";
  CheckpointSaver saver(directory.path(), {.keep_last = 1, .asynchronous = false});
  saver.save(sample(30));
  EXPECT_THAT(steps_in(directory.path()), ElementsAre(30, 90));
  EXPECT_TRUE(std::filesystem::exists(directory / "notes.txt"));
}

TEST(CheckpointSaver, FailureOfTheBackgroundIsNotLost) {
  const test::TemporaryDirectory directory;
  CheckpointSaver saver(directory / "checkpoints", {.keep_last = 1});
  saver.save(sample(1));
  saver.wait();
  std::filesystem::rename(directory / "checkpoints", directory / "elsewhere");
  saver.save(sample(2));
  EXPECT_THAT(io_error_of([&] { saver.save(sample(3)); }), HasSubstr("step_000000002.h5"));
  std::filesystem::rename(directory / "elsewhere", directory / "checkpoints");
  EXPECT_THAT(steps_in(directory / "checkpoints"), ElementsAre(1));
  saver.save(sample(4));
  saver.wait();
  EXPECT_THAT(steps_in(directory / "checkpoints"), ElementsAre(4));
}

// A full disk: the system refuses to let files grow.
TEST(CheckpointSaver, FullDiskLeavesWhatIsThere) {
  const test::TemporaryDirectory directory;
  CheckpointSaver saver(directory.path(), {.keep_last = 1, .asynchronous = false});
  saver.save(sample(1));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit small = before;
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlim_t whole = std::filesystem::file_size(checkpoint_path(directory.path(), 1));
  for (const rlim_t limit : {rlim_t{0}, whole / 3, whole - 1}) {
    small.rlim_cur = limit;
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    const std::string message = io_error_of([&] { saver.save(sample(2)); });
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    EXPECT_THAT(message, AllOf(HasSubstr("step_000000002.h5"), HasSubstr("File too large")))
        << limit;
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory.path()), {}), 1) << limit;
  }
  std::signal(SIGXFSZ, handler);
  expect_equal(read_checkpoint(checkpoint_path(directory.path(), 1)), sample(1));
  saver.save(sample(3));
  EXPECT_THAT(steps_in(directory.path()), ElementsAre(3));
}

TEST(RunLock, SecondHolderIsToldWho) {
  const test::TemporaryDirectory directory;
  {
    const RunLock lock(directory.path());
    EXPECT_TRUE(lock.held());
    try {
      const RunLock second(directory.path());
      FAIL();
    } catch (const ConfigError& error) {
      EXPECT_THAT(error.what(), HasSubstr(concat("is in use by process ", ::getpid(), " on ")));
    }
  }
  EXPECT_TRUE(RunLock(directory.path()).held());
}

}  // namespace
}  // namespace clausius
