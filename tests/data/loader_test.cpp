// SPDX-License-Identifier: Apache-2.0
// Loader: the same samples on any number of ranks and micro-batches, read ahead or not; resuming; errors.
#include "data/loader.h"

#include <atomic>
#include <set>

#include <gtest/gtest.h>

#include "tests/data/files.h"

namespace clausius {
namespace {

// Sample i of `size` holds the number i.
class Numbers final : public SampleSequence {
 public:
  explicit Numbers(std::int64_t size, std::int64_t broken = -1) : size_(size), broken_(broken) {}
  [[nodiscard]] std::int64_t epoch_size() const override { return size_; }
  [[nodiscard]] Batch read(std::int64_t first, std::int64_t count) const override {
    CLS_CHECK(broken_ < first || broken_ >= first + count, DataError, "sample ", broken_,
              " is broken");
    Batch batch;
    batch.sample_ids_B = Tensor::empty({count}, Dtype::kI64);
    for (std::int64_t i = 0; i < count; ++i) {
      batch.sample_ids_B.span<std::int64_t>()[static_cast<std::size_t>(i)] = first + i;
    }
    batch.weight = 0.5 * static_cast<double>(count);
    ++reads;
    return batch;
  }

  mutable std::atomic<int> reads = 0;

 private:
  std::int64_t size_;
  std::int64_t broken_;
};

using Ids = std::vector<std::int64_t>;

Ids ids_of(const LoadedStep& step) {
  Ids ids;
  for (const Batch& batch : step.micro_batches) {
    for (const std::int64_t id : batch.sample_ids_B.span<std::int64_t>()) {
      ids.push_back(id);
    }
  }
  return ids;
}

TEST(Loader, RanksTogetherReadEachStepInOrder) {
  const Numbers numbers(100);
  for (const int ranks : {1, 2, 3, 4}) {
    for (const std::int64_t micro_batch : {1, 2, 3, 100}) {
      for (const std::int64_t prefetch : {0, 2}) {
        std::vector<Ids> steps(3);
        for (int rank = 0; rank < ranks; ++rank) {
          Loader loader(numbers, {.batch_samples = 7,
                                  .micro_batch = micro_batch,
                                  .rank = rank,
                                  .ranks = ranks,
                                  .prefetch = prefetch});
          for (Ids& ids : steps) {
            const std::optional<LoadedStep> step = loader.next();
            ASSERT_TRUE(step);
            EXPECT_EQ(step->samples, 7);
            EXPECT_EQ(step->end_sample(), 7 * (1 + (&ids - steps.data())));
            for (const Batch& batch : step->micro_batches) {
              EXPECT_LE(batch.samples(), micro_batch);
            }
            const Ids mine = ids_of(*step);
            EXPECT_EQ(step->weight, 0.5 * static_cast<double>(mine.size()));
            EXPECT_LE(std::abs(std::ssize(mine) * ranks - 7), ranks);
            ids.insert(ids.end(), mine.begin(), mine.end());
          }
        }
        EXPECT_EQ(steps, (std::vector<Ids>{{0, 1, 2, 3, 4, 5, 6},
                                           {7, 8, 9, 10, 11, 12, 13},
                                           {14, 15, 16, 17, 18, 19, 20}}));
      }
    }
  }
}

TEST(Loader, ResumesAtItsCursor) {
  const Numbers numbers(100);
  Loader straight(numbers, {.batch_samples = 4, .micro_batch = 4});
  (void)straight.next();
  const std::int64_t cursor = straight.next()->end_sample();
  Loader resumed(numbers, {.batch_samples = 4, .micro_batch = 4, .first_sample = cursor});
  const std::optional<LoadedStep> step = resumed.next();
  EXPECT_EQ(ids_of(*straight.next()), ids_of(*step));
  EXPECT_EQ(step->end_sample(), 12);
}

TEST(Loader, EndsWithASmallerStep) {
  const Numbers numbers(10);
  for (const std::int64_t prefetch : {0, 3}) {
    Loader loader(numbers, {.batch_samples = 4,
                            .micro_batch = 4,
                            .rank = 0,
                            .ranks = 4,
                            .prefetch = prefetch,
                            .end_sample = 9});
    EXPECT_EQ(ids_of(*loader.next()), (Ids{0}));
    EXPECT_EQ(ids_of(*loader.next()), (Ids{4}));
    const std::optional<LoadedStep> last = loader.next();
    ASSERT_TRUE(last);
    EXPECT_EQ(last->samples, 1);
    EXPECT_EQ(last->end_sample(), 9);
    EXPECT_TRUE(last->micro_batches.empty());
    EXPECT_FALSE(loader.next());
    EXPECT_FALSE(loader.next());
  }
}

TEST(Loader, ReadsNoFurtherAheadThanAsked) {
  const Numbers numbers(1000);
  Loader loader(numbers, {.batch_samples = 1, .micro_batch = 1, .prefetch = 2});
  for (int step = 1; step <= 20; ++step) {
    (void)loader.next();
    EXPECT_LE(numbers.reads, step + 3);  // taken, two waiting, one in the reader's hands
  }
}

TEST(Loader, AnErrorComesUpAtItsStep) {
  const Numbers numbers(100, 5);
  for (const std::int64_t prefetch : {0, 4}) {
    Loader loader(numbers, {.batch_samples = 2, .micro_batch = 1, .prefetch = prefetch});
    EXPECT_EQ(ids_of(*loader.next()), (Ids{0, 1}));
    EXPECT_EQ(ids_of(*loader.next()), (Ids{2, 3}));
    EXPECT_EQ(test::error_of<DataError>([&] { (void)loader.next(); }), "sample 5 is broken");
    EXPECT_EQ(test::error_of<DataError>([&] { (void)loader.next(); }), "sample 5 is broken");
  }
}

TEST(Loader, MayBeDroppedWhileItReads) {
  const Numbers numbers(1 << 20);
  for (int i = 0; i < 50; ++i) {
    const Loader loader(numbers, {.batch_samples = 3, .micro_batch = 1, .prefetch = 1 + i % 3});
  }
}

}  // namespace
}  // namespace clausius
