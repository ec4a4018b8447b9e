// SPDX-License-Identifier: Apache-2.0
// The CPU allocator: size-class free lists over 64-byte aligned blocks, huge pages for large ones.
#include "core/allocator.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <map>
#include <mutex>
#include <string>
#include <sys/mman.h>
#include <unordered_set>
#include <vector>

#include "core/checked.h"
#include "core/dry_run.h"
#include "core/error.h"

namespace clausius {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max();

std::atomic<int> poison_depth{0};

// Rounds up so that at most 1/8 is wasted and few distinct sizes exist: reuse across steps of
// slightly different shapes.
std::size_t size_class(std::size_t bytes) {
  const std::size_t least = std::max(bytes, kAlignment);
  const std::size_t step = std::max(kAlignment, std::bit_floor(least) / 8);
  return round_up(least, step);
}

class CpuAllocator final : public Allocator {
 public:
  ~CpuAllocator() override { trim(); }

  void* allocate(std::size_t bytes) override {
    const std::size_t block = size_class(bytes);
    void* pointer = in_dry_run() ? reserve(block) : take(block);
    CLS_CHECK(pointer != nullptr, MemoryError, "out of memory: asked for ", block, " bytes with ",
              stats().used_bytes, " bytes in use", limit_text());
    const std::lock_guard lock(mutex_);
    stats_.used_bytes += block;
    stats_.peak_bytes = std::max(stats_.peak_bytes, stats_.used_bytes);
    if (poison_depth.load(std::memory_order_relaxed) > 0 && !in_dry_run()) {
      std::memset(pointer, 0xFF, block);
    }
    return pointer;
  }

  void release(void* pointer, std::size_t bytes) noexcept override {
    const std::size_t block = size_class(bytes);
    const std::lock_guard lock(mutex_);
    stats_.used_bytes -= block;
    if (reserved_.erase(pointer) > 0) {
      munmap(pointer, block);
      return;
    }
    stats_.cached_bytes += block;
    free_[block].push_back(pointer);
  }

  MemoryStats stats() const override {
    const std::lock_guard lock(mutex_);
    return stats_;
  }

  void reset_peak() override {
    const std::lock_guard lock(mutex_);
    stats_.peak_bytes = stats_.used_bytes;
  }

  void trim() override {
    const std::lock_guard lock(mutex_);
    for (auto& [block, pointers] : free_) {
      for (void* pointer : pointers) {
        std::free(pointer);
      }
    }
    free_.clear();
    stats_.cached_bytes = 0;
  }

  void set_limit(std::size_t bytes) override {
    const std::lock_guard lock(mutex_);
    limit_ = bytes;
  }

 private:
  // nullptr when there is no more.
  void* take(std::size_t block) {
    void* pointer = take_cached(block);
    if (pointer == nullptr && within_limit(block, true)) {
      pointer = system_allocate(block);
    }
    if (pointer == nullptr) {
      trim();
      pointer = within_limit(block, false) ? system_allocate(block) : nullptr;
    }
    return pointer;
  }

  // Address space for a dry run.
  void* reserve(std::size_t block) {
    void* pointer = mmap(nullptr, block, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pointer == MAP_FAILED) {
      return nullptr;
    }
    const std::lock_guard lock(mutex_);
    reserved_.insert(pointer);
    return pointer;
  }

  bool within_limit(std::size_t block, bool with_cache) const {
    const std::lock_guard lock(mutex_);
    const std::size_t held = stats_.used_bytes + (with_cache ? stats_.cached_bytes : 0);
    return block <= limit_ && held <= limit_ - block;
  }

  std::string limit_text() const {
    const std::lock_guard lock(mutex_);
    return limit_ == kNoLimit ? "" : concat("; there are ", limit_);
  }

  void* take_cached(std::size_t block) {
    const std::lock_guard lock(mutex_);
    const auto found = free_.find(block);
    if (found == free_.end() || found->second.empty()) {
      return nullptr;
    }
    void* pointer = found->second.back();
    found->second.pop_back();
    stats_.cached_bytes -= block;
    return pointer;
  }

  static void* system_allocate(std::size_t block) {
    const bool huge = block >= 2 * kHugePage;
    void* pointer = nullptr;
    if (posix_memalign(&pointer, huge ? kHugePage : kAlignment, block) != 0) {
      return nullptr;
    }
    if (huge) {
      madvise(pointer, block, MADV_HUGEPAGE);
    }
    return pointer;
  }

  mutable std::mutex mutex_;
  std::map<std::size_t, std::vector<void*>> free_;
  std::unordered_set<void*> reserved_;
  std::size_t limit_ = kNoLimit;
  MemoryStats stats_;
};

}  // namespace

Allocator& allocator(Device device) {
  CLS_CHECK(device.kind == DeviceKind::kCpu, DeviceError, "no memory on device ", device,
            ": this build has the CPU backend only");
  // Never destroyed: tensors in static storage may outlive every static destructor.
  static Allocator& cpu = *new CpuAllocator;
  return cpu;
}

PoisonFreshMemory::PoisonFreshMemory() {
  poison_depth.fetch_add(1);
}
PoisonFreshMemory::~PoisonFreshMemory() {
  poison_depth.fetch_sub(1);
}

}  // namespace clausius
