// SPDX-License-Identifier: Apache-2.0
// Growing datasets: read while written, after a kill, and carried on.
#include "core/io/hdf5_rows.h"

#include <cmath>
#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hdf5.h>

#include "core/error.h"
#include "core/io/atomic_file.h"
#include "tests/support/temporary_directory.h"

namespace clausius {
namespace {

using ::testing::ElementsAre;

std::vector<Hdf5RowSpec> specs() {
  return {{.name = "entropy",
           .dtype = Dtype::kF32,
           .row_shape = {2, 3},
           .attributes = {{"heads_per_layer", "3,2"}}},
          {.name = "step", .dtype = Dtype::kI64, .row_shape = {}, .attributes = {}}};
}

std::vector<Tensor> row(std::int64_t i) {
  return {Tensor::full({2, 3}, static_cast<double>(i) / 4, Dtype::kF32),
          Tensor::scalar(static_cast<double>(i), Dtype::kI64)};
}

void expect_rows(const std::vector<Tensor>& found, std::int64_t first, std::int64_t count) {
  ASSERT_EQ(found[0].shape(), (Shape{count, 2, 3}));
  ASSERT_EQ(found[1].shape(), (Shape{count}));
  for (std::int64_t i = 0; i < count; ++i) {
    EXPECT_EQ(found[1].select(0, i).item(), static_cast<double>(first + i));
    EXPECT_EQ(found[0].select(0, i).select(0, 1).select(0, 2).item(),
              static_cast<double>(first + i) / 4);
  }
}

TEST(Hdf5Rows, ReadableWhileWrittenAndPlainAfterClose) {
  const test::TemporaryDirectory directory;
  const auto path = directory / "entropy.h5";
  Hdf5RowWriter writer(path, specs(), {}, {{"layers", 2}});
  EXPECT_EQ(Hdf5Reader(path).info("step").shape, (Shape{0}));
  for (std::int64_t i = 0; i < 300; ++i) {
    writer.append(row(i));
    if (i % 100 == 0) {
      expect_rows(read_row_datasets(path, specs()), 0, i + 1);
    }
  }
  EXPECT_EQ(writer.num_rows(), 300);
  EXPECT_THROW(writer.append({row(0)[0]}), ShapeError);
  EXPECT_THROW(writer.append({row(0)[1], row(0)[0]}), ShapeError);
  EXPECT_THROW(writer.append({row(0)[0].to(Dtype::kF64), row(0)[1]}), DtypeError);
  writer.close();
  const hid_t plain = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  EXPECT_GE(plain, 0);
  H5Fclose(plain);
  expect_rows(read_row_datasets(path, specs()), 0, 300);
  EXPECT_EQ(Hdf5Reader(path).require<std::string>("entropy", "heads_per_layer"), "3,2");
  EXPECT_EQ(Hdf5Reader(path).require<std::int64_t>("/", "layers"), 2);
}

TEST(Hdf5Rows, KilledWriterLeavesItsRowsAndANewOneGoesOn) {
  const test::TemporaryDirectory directory;
  const auto path = directory / "entropy.h5";
  const pid_t child = fork();
  if (child == 0) {
    Hdf5RowWriter writer(path, specs());
    for (std::int64_t i = 0; i < 50; ++i) {
      writer.append(row(i));
    }
    ::raise(SIGSTOP);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, WUNTRACED), child);
  ASSERT_TRUE(WIFSTOPPED(status));
  expect_rows(read_row_datasets(path, specs()), 0, 50);  // of a live writer in another process
  ::kill(child, SIGKILL);
  ASSERT_EQ(waitpid(child, &status, 0), child);
  std::vector<Tensor> found = read_row_datasets(path, specs());
  expect_rows(found, 0, 50);

  // Resume from the checkpoint of step 40, with one more quantity observed.
  std::vector<Hdf5RowSpec> more = specs();
  more.insert(more.begin(),
              {.name = "max_logit", .dtype = Dtype::kF32, .row_shape = {2}, .attributes = {}});
  found = read_row_datasets(path, more);
  for (Tensor& values : found) {
    values = values.slice(0, 0, 40);
  }
  Hdf5RowWriter writer(path, more, found);
  EXPECT_EQ(writer.num_rows(), 40);
  writer.append({Tensor::full({2}, 7.0, Dtype::kF32), row(40)[0], row(40)[1]});
  expect_rows(read_row_datasets(path, specs()), 0, 41);
  const Tensor logits = Hdf5Reader(path).tensor("max_logit");
  EXPECT_TRUE(std::isnan(logits.select(0, 39).select(0, 0).item()));
  EXPECT_EQ(logits.select(0, 40).select(0, 1).item(), 7.0);
}

TEST(Hdf5Rows, DatasetsThatFellBehindSetTheCount) {
  const test::TemporaryDirectory directory;
  const auto path = directory / "entropy.h5";
  {
    // As if killed between the two datasets of a row.
    Hdf5Writer writer(path);
    writer.tensor("entropy", Tensor::full({5, 2, 3}, 0.0, Dtype::kF32));
    writer.tensor("step", Tensor::full({4}, 0.0, Dtype::kI64));
    writer.close();
  }
  EXPECT_EQ(read_row_datasets(path, specs())[0].size(0), 4);
}

TEST(Hdf5Rows, FailedStartLeavesTheOldFile) {
  const test::TemporaryDirectory directory;
  const auto path = directory / "entropy.h5";
  Hdf5RowWriter(path, specs(), {row(1)[0].reshape({1, 2, 3}), row(1)[1].reshape({1})}).close();
  EXPECT_THROW(Hdf5RowWriter(path, specs(), {row(1)[0].reshape({1, 2, 3}), row(1)[0]}), ShapeError);
  expect_rows(read_row_datasets(path, specs()), 1, 1);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory.path()), {}), 1);
}

}  // namespace
}  // namespace clausius
