// SPDX-License-Identifier: Apache-2.0
// Free lists: reuse, and blocks that a recorded program holds.
#include "core/caching_allocator.h"

#include <cstdlib>

#include <gtest/gtest.h>

namespace clausius {
namespace {

constexpr MemorySource kHost{
    .allocate = [](std::size_t bytes) { return std::aligned_alloc(64, bytes); },
    .free = [](void* pointer) { std::free(pointer); },
    .poison = [](void* /*pointer*/, std::size_t /*bytes*/) {}};

TEST(CachingAllocator, HandsFreedBlocksOutAgain) {
  CachingAllocator memory(kHost);
  void* const first = memory.allocate(1000);
  memory.release(first, 1000);
  EXPECT_GT(memory.stats().cached_bytes, 0U);
  EXPECT_EQ(memory.allocate(1000), first);
  EXPECT_EQ(memory.stats().cached_bytes, 0U);
  memory.release(first, 1000);
}

TEST(CachingAllocator, HeldBlocksAreNobodyElses) {
  CachingAllocator memory(kHost);
  void* const before = memory.allocate(1000);
  memory.release(before, 1000);
  memory.begin_hold();
  void* const used = memory.allocate(1000);
  EXPECT_EQ(used, before) << "a recording begins with what is free";
  memory.release(used, 1000);
  EXPECT_EQ(memory.allocate(1000), used) << "within a recording blocks are used again";
  memory.release(used, 1000);
  void* const kept = memory.allocate(5000);
  const FreeBlocks held = memory.end_hold();
  void* const other = memory.allocate(1000);
  EXPECT_NE(other, used) << "the recording still writes to it";
  memory.release(other, 1000);
  memory.release(kept, 5000);
  EXPECT_EQ(memory.allocate(5000), kept) << "what outlives the recording is free like any other";
  memory.release(kept, 5000);

  const std::size_t cached = memory.stats().cached_bytes;
  memory.give_back(held);
  EXPECT_EQ(memory.stats().cached_bytes, cached + 1024);
  EXPECT_EQ(memory.allocate(1000), used);
  memory.release(used, 1000);
  EXPECT_EQ(memory.stats().used_bytes, 0U);
}

}  // namespace
}  // namespace clausius
