// SPDX-License-Identifier: Apache-2.0
// The CPU allocator: size-class free lists over 64-byte aligned blocks, huge pages for large ones.
#include "core/allocator.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <sys/mman.h>
#include <vector>

#include "core/checked.h"
#include "core/error.h"

namespace clausius {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

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
    void* pointer = take_cached(block);
    if (pointer == nullptr) {
      pointer = system_allocate(block);
    }
    if (pointer == nullptr) {
      trim();
      pointer = system_allocate(block);
    }
    CLS_CHECK(pointer != nullptr, MemoryError, "out of memory: asked for ", block, " bytes with ",
              stats().used_bytes, " bytes in use");
    const std::lock_guard lock(mutex_);
    stats_.used_bytes += block;
    stats_.peak_bytes = std::max(stats_.peak_bytes, stats_.used_bytes);
    if (poison_depth.load(std::memory_order_relaxed) > 0) {
      std::memset(pointer, 0xFF, block);
    }
    return pointer;
  }

  void release(void* pointer, std::size_t bytes) noexcept override {
    const std::size_t block = size_class(bytes);
    const std::lock_guard lock(mutex_);
    stats_.used_bytes -= block;
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

 private:
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
