// SPDX-License-Identifier: Apache-2.0
// Whole files, maps, line writers, atomic replacement, hashes.
#include "core/io/file.h"

#include <fstream>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/io/atomic_file.h"
#include "core/io/hash.h"
#include "tests/support/temporary_directory.h"

namespace clausius {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> names_in(const std::filesystem::path& directory) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    names.push_back(entry.path().filename());
  }
  return names;
}

template <class Call>
std::string io_error_of(const Call& call) {
  try {
    call();
  } catch (const IoError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(Hash, KnownAnswers) {
  EXPECT_EQ(xxh3_64(std::string_view()), 0x2d06800538d394c2U);
  EXPECT_EQ(xxh3_128(std::string_view()).hex(), "99aa06d3014798d86001c324468d497f");
  Hasher pieces;
  pieces.update("entropy of ");
  pieces.update("");
  pieces.update("each head");
  EXPECT_EQ(pieces.digest(), xxh3_128("entropy of each head"));
  EXPECT_NE(pieces.digest(), xxh3_128("entropy of each heat"));
}

TEST(File, ReadsWholeFilesAndNamesMissingOnes) {
  const test::TemporaryDirectory directory;
  write_file_atomically(directory / "a", std::string("zero\0byte", 9));
  EXPECT_EQ(read_file(directory / "a"), std::string("zero\0byte", 9));
  EXPECT_THAT(io_error_of([&] { (void)read_file(directory / "b"); }),
              HasSubstr("/b: No such file or directory"));
}

TEST(File, MapsTensors) {
  const test::TemporaryDirectory directory;
  const std::vector<std::int32_t> values{7, 8, 9, 10, 11, 12};
  write_file_atomically(directory / "m", {reinterpret_cast<const char*>(values.data()), 24});
  Tensor rows;
  {
    const Tensor mapped = map_tensor(directory / "m", 4, {2, 2}, Dtype::kI32);
    rows = mapped.select(0, 1);
  }
  EXPECT_THAT(rows.span<std::int32_t>(), ElementsAre(10, 11));  // the map outlives the first handle
  EXPECT_THROW((void)map_tensor(directory / "m", 4, {3, 2}, Dtype::kI32), IoError);
  EXPECT_THROW((void)map_tensor(directory / "m", 2, {1}, Dtype::kI32), IoError);
  write_file_atomically(directory / "empty", "");
  EXPECT_EQ(map_tensor(directory / "empty", 0, {0, 3}, Dtype::kF32).numel(), 0);
}

TEST(LineWriter, ContinuesBehindTheLastWholeLine) {
  const test::TemporaryDirectory directory;
  const auto path = directory / "metrics.jsonl";
  {
    LineWriter writer(path, LineWriter::Existing::kContinue);
    writer.write_line("{\"step\": 1}");
    writer.write_line("{\"step\": 2}");
  }
  std::ofstream(path, std::ios::app) << "{\"step\": 3, \"lo";
  LineWriter(path, LineWriter::Existing::kContinue).write_line("{\"event\": \"resume\"}");
  EXPECT_EQ(read_file(path), "{\"step\": 1}\n{\"step\": 2}\n{\"event\": \"resume\"}\n");
  LineWriter(path, LineWriter::Existing::kReplace).write_line("x");
  EXPECT_EQ(read_file(path), "x\n");
  EXPECT_THROW(LineWriter(path, LineWriter::Existing::kContinue).write_line("a\nb"), InternalError);
}

TEST(LineWriter, TornLineLongerThanABlock) {
  const test::TemporaryDirectory directory;
  const auto path = directory / "m";
  std::ofstream(path) << "first\n" << std::string(200000, 'x');
  EXPECT_EQ(truncate_torn_line(path), 200000);
  EXPECT_EQ(read_file(path), "first\n");
  std::ofstream(path) << std::string(70000, 'y');
  EXPECT_EQ(truncate_torn_line(path), 70000);
  EXPECT_EQ(read_file(path), "");
}

TEST(AtomicFile, LeavesTheOldFileUntilCommit) {
  const test::TemporaryDirectory directory;
  const auto path = directory / "f";
  write_file_atomically(path, "old");
  {
    const AtomicFile file(path);
    std::ofstream(file.temporary()) << "half of the n";
    EXPECT_TRUE(is_temporary(file.temporary()));
  }
  EXPECT_EQ(read_file(path), "old");
  EXPECT_THAT(names_in(directory.path()), ElementsAre("f"));
  write_file_atomically(path, "new");
  EXPECT_EQ(read_file(path), "new");
  EXPECT_THAT(names_in(directory.path()), ElementsAre("f"));
  EXPECT_THROW(AtomicFile(directory / "missing" / "f"), IoError);
}

TEST(AtomicFile, RemovesTemporariesOfDeadProcessesAlone) {
  const test::TemporaryDirectory directory;
  const auto path = directory / "step_000000001.h5";
  const AtomicFile own(path);
  std::ofstream(own.temporary()) << "mine";
  const pid_t child = fork();
  if (child == 0) {
    const AtomicFile file(path);
    std::ofstream(file.temporary()) << "theirs";
    _exit(0);  // no destructor, as when killed
  }
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  std::string foreign = own.temporary().filename();
  foreign.replace(foreign.find(".h5.") + 4, 1, "#");  // another host's name
  std::ofstream(directory / foreign) << "elsewhere";
  std::ofstream(directory / "notes.1.2.3.tmp.txt") << "no temporary";
  ASSERT_EQ(names_in(directory.path()).size(), 4U);

  const auto removed = remove_stale_temporaries(directory.path());
  ASSERT_EQ(removed.size(), 1U);
  EXPECT_THAT(removed[0].string(), HasSubstr(concat('.', child, '.')));
  EXPECT_TRUE(std::filesystem::exists(own.temporary()));
  EXPECT_EQ(names_in(directory.path()).size(), 3U);
}

TEST(AtomicFile, TemporaryNamesAreRecognised) {
  EXPECT_TRUE(is_temporary("runs/a/step_000000012.h5.node-7.4711.99.0.tmp"));
  EXPECT_FALSE(is_temporary("step_000000012.h5"));
  EXPECT_FALSE(is_temporary("step_000000012.h5.tmp"));
  EXPECT_FALSE(is_temporary("x.node.4711.tmp"));
  EXPECT_FALSE(is_temporary("x.node.4711.12.0x1.tmp"));
}

}  // namespace
}  // namespace clausius
