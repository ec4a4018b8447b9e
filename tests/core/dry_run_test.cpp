// SPDX-License-Identifier: Apache-2.0
// A dry run takes no memory and runs no kernel, yet accounts for both; and the allocator's limit.
#include "core/dry_run.h"

#include <fstream>
#include <limits>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/allocator.h"
#include "core/error.h"
#include "core/ops/binary/binary.h"
#include "core/tensor.h"

namespace clausius {
namespace {

constexpr std::int64_t kTerabyte = std::int64_t{1} << 40;

std::int64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::int64_t size = 0;
  std::int64_t resident = 0;
  statm >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

TEST(DryRun, MemoryIsAddressSpaceAlone) {
  Allocator& memory = allocator(kCpu);
  const std::size_t used = memory.stats().used_bytes;
  const std::int64_t resident = resident_bytes();
  {
    const DryRun dry;
    Tensor huge = Tensor::full({kTerabyte / 4}, 1.5, Dtype::kF32);
    huge.fill(2.5);
    const Tensor copy = huge.clone();
    EXPECT_EQ(memory.stats().used_bytes, used + 2 * static_cast<std::size_t>(kTerabyte));
    EXPECT_EQ(copy.data<float>()[kTerabyte / 8], 0.0F);
  }
  EXPECT_EQ(memory.stats().used_bytes, used);
  EXPECT_LT(resident_bytes() - resident, std::int64_t{16} << 20);
}

TEST(DryRun, KernelsRestAndIntegersDoNot) {
  const Tensor a = Tensor::full({8}, 2.0, Dtype::kF32);
  {
    const DryRun dry;
    EXPECT_TRUE(in_dry_run());
    const Tensor sum = ops::add(a, a);
    EXPECT_EQ(sum.shape(), (Shape{8}));
    EXPECT_EQ(sum.data<float>()[3], 0.0F);
    const Tensor ids = Tensor::full({4}, 7, Dtype::kI32).clone();
    EXPECT_EQ(ids.data<std::int32_t>()[3], 7);
    // Checks are as ever.
    EXPECT_THROW((void)ops::add(a, Tensor::zeros({3}, Dtype::kF32)), ShapeError);
  }
  EXPECT_FALSE(in_dry_run());
  EXPECT_EQ(ops::add(a, a).data<float>()[3], 4.0F);
}

TEST(DryRun, TensorsMayOutliveIt) {
  Tensor kept;
  {
    const DryRun dry;
    kept = Tensor::empty({1024}, Dtype::kF32);
  }
  kept.fill(3.0);
  EXPECT_EQ(kept.data<float>()[1023], 3.0F);
  const std::size_t used = allocator(kCpu).stats().used_bytes;
  const std::size_t cached = allocator(kCpu).stats().cached_bytes;
  kept = Tensor();
  EXPECT_EQ(allocator(kCpu).stats().used_bytes, used - 4096);
  EXPECT_EQ(allocator(kCpu).stats().cached_bytes, cached);
}

// Whether or not this machine has one.
TEST(DryRun, DevicesNeedNotExist) {
  const std::size_t host = allocator(kCpu).stats().used_bytes;
  Tensor kept;
  {
    const DryRun dry;
    Allocator& memory = allocator(kCuda);
    memory.trim();
    const std::size_t used = memory.stats().used_bytes;
    const Tensor ids = Tensor::full({4}, 7, Dtype::kI32).to(kCuda);
    EXPECT_EQ(ids.device(), kCuda);
    EXPECT_EQ(ids.to(kCpu).data<std::int32_t>()[3], 7);
    kept = Tensor::zeros({kTerabyte / 4}, Dtype::kF32, kCuda);
    (void)ops::add(kept, kept);
    // One sum's memory is kept for the next.
    const std::size_t sum = static_cast<std::size_t>(kTerabyte);
    EXPECT_EQ(memory.stats().used_bytes, used + sum + 64);
    EXPECT_EQ(memory.stats().cached_bytes, sum);
    (void)ops::add(kept, kept);
    EXPECT_EQ(memory.stats().cached_bytes, sum);
    EXPECT_GE(memory.stats().peak_bytes, used + 2 * sum);
    memory.trim();
    EXPECT_EQ(memory.stats().cached_bytes, 0U);
  }
  kept = Tensor();
  const DryRun dry;
  EXPECT_EQ(allocator(kCuda).stats().used_bytes, 0U);
  EXPECT_EQ(allocator(kCpu).stats().used_bytes, host);
}

TEST(AllocatorLimit, IsAnErrorThatNamesIt) {
  Allocator& memory = allocator(kCpu);
  memory.trim();
  const std::size_t limit = memory.stats().used_bytes + (std::size_t{4} << 20);
  memory.set_limit(limit);
  std::string message;
  try {
    const Tensor within = Tensor::empty({std::int64_t{2} << 20}, Dtype::kU8);
    const Tensor beyond = Tensor::empty({std::int64_t{4} << 20}, Dtype::kU8);
  } catch (const MemoryError& error) {
    message = error.what();
  }
  // What is only cached makes room.
  EXPECT_NO_THROW((void)Tensor::empty({std::int64_t{3} << 20}, Dtype::kU8));
  memory.set_limit(std::numeric_limits<std::size_t>::max());
  EXPECT_THAT(message, testing::HasSubstr("out of memory: asked for 4194304 bytes"));
  EXPECT_THAT(message, testing::HasSubstr(std::to_string(limit)));
}

}  // namespace
}  // namespace clausius
