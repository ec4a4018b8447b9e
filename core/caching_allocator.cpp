// SPDX-License-Identifier: Apache-2.0
// Free lists and accounts.
#include "core/caching_allocator.h"

#include <algorithm>
#include <bit>
#include <sys/mman.h>
#include <utility>

#include "core/checked.h"
#include "core/dry_run.h"
#include "core/error.h"

namespace clausius {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kNoLimit = static_cast<std::size_t>(-1);

// Rounds up so that at most 1/8 is wasted and few distinct sizes exist: reuse across steps of
// slightly different shapes.
std::size_t size_class(std::size_t bytes) {
  const std::size_t least = std::max(bytes, kAlignment);
  const std::size_t step = std::max(kAlignment, std::bit_floor(least) / 8);
  return round_up(least, step);
}

}  // namespace

void* reserve_address_space(std::size_t bytes) {
  void* pointer = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return pointer == MAP_FAILED ? nullptr : pointer;
}

CachingAllocator::~CachingAllocator() {
  trim();
}

void* CachingAllocator::allocate(std::size_t bytes) {
  const std::size_t block = size_class(bytes);
  void* pointer = in_dry_run() && !source_.dry ? reserve(block) : take(block);
  CLS_CHECK(pointer != nullptr, MemoryError, "out of memory: asked for ", block, " bytes with ",
            stats().used_bytes, " bytes in use", limit_text());
  const std::lock_guard lock(mutex_);
  stats_.used_bytes += block;
  stats_.peak_bytes = std::max(stats_.peak_bytes, stats_.used_bytes);
  if (poisoning() && !in_dry_run()) {
    source_.poison(pointer, block);
  }
  return pointer;
}

void CachingAllocator::release(void* pointer, std::size_t bytes) noexcept {
  const std::size_t block = size_class(bytes);
  const std::lock_guard lock(mutex_);
  stats_.used_bytes -= block;
  if (reserved_.erase(pointer) > 0) {
    munmap(pointer, block);
    return;
  }
  if (holding_) {
    held_[block].push_back(pointer);
    return;
  }
  stats_.cached_bytes += block;
  free_[block].push_back(pointer);
}

MemoryStats CachingAllocator::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

void CachingAllocator::reset_peak() {
  const std::lock_guard lock(mutex_);
  stats_.peak_bytes = stats_.used_bytes;
}

void CachingAllocator::trim() {
  const std::lock_guard lock(mutex_);
  for (auto& [block, pointers] : free_) {
    for (void* pointer : pointers) {
      source_.free(pointer);
    }
  }
  free_.clear();
  stats_.cached_bytes = 0;
}

void CachingAllocator::set_limit(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  limit_ = bytes;
}

// nullptr when there is no more.
void* CachingAllocator::take(std::size_t block) {
  void* pointer = take_cached(block);
  if (pointer == nullptr && within_limit(block, true)) {
    pointer = source_.allocate(block);
  }
  if (pointer == nullptr) {
    trim();
    pointer = within_limit(block, false) ? source_.allocate(block) : nullptr;
  }
  return pointer;
}

// Address space for a dry run.
void* CachingAllocator::reserve(std::size_t block) {
  void* pointer = reserve_address_space(block);
  if (pointer != nullptr) {
    const std::lock_guard lock(mutex_);
    reserved_.insert(pointer);
  }
  return pointer;
}

bool CachingAllocator::within_limit(std::size_t block, bool with_cache) const {
  const std::lock_guard lock(mutex_);
  const std::size_t held = stats_.used_bytes + (with_cache ? stats_.cached_bytes : 0);
  return block <= limit_ && held <= limit_ - block;
}

std::string CachingAllocator::limit_text() const {
  const std::lock_guard lock(mutex_);
  return limit_ == kNoLimit ? "" : concat("; there are ", limit_);
}

void* CachingAllocator::take_from(FreeBlocks& blocks, std::size_t block) {
  const auto found = blocks.find(block);
  if (found == blocks.end() || found->second.empty()) {
    return nullptr;
  }
  void* pointer = found->second.back();
  found->second.pop_back();
  return pointer;
}

void* CachingAllocator::take_cached(std::size_t block) {
  const std::lock_guard lock(mutex_);
  void* pointer = holding_ ? take_from(held_, block) : nullptr;
  if (pointer == nullptr) {
    pointer = take_from(free_, block);
    stats_.cached_bytes -= pointer != nullptr ? block : 0;
  }
  return pointer;
}

void CachingAllocator::begin_hold() {
  const std::lock_guard lock(mutex_);
  CLS_ASSERT(!holding_ && held_.empty());
  holding_ = true;
}

FreeBlocks CachingAllocator::end_hold() {
  const std::lock_guard lock(mutex_);
  holding_ = false;
  return std::exchange(held_, {});
}

void CachingAllocator::give_back(const FreeBlocks& blocks) {
  const std::lock_guard lock(mutex_);
  for (const auto& [block, pointers] : blocks) {
    stats_.cached_bytes += block * pointers.size();
    free_[block].insert(free_[block].end(), pointers.begin(), pointers.end());
  }
}

}  // namespace clausius
