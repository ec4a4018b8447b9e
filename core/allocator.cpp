// SPDX-License-Identifier: Apache-2.0
// The CPU's memory (64-byte aligned, huge pages for large blocks), and which allocator a device has.
#include "core/allocator.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <sys/mman.h>
#include <unordered_map>

#include "core/caching_allocator.h"
#include "core/device_backend.h"
#include "core/dry_run.h"

namespace clausius {
namespace {

std::atomic<int> poison_depth{0};

void* allocate_pages(std::size_t bytes) {
  constexpr std::size_t kAlignment = 64;
  constexpr std::size_t kHugePage = std::size_t{2} << 20;
  const bool huge = bytes >= 2 * kHugePage;
  void* pointer = nullptr;
  if (posix_memalign(&pointer, huge ? kHugePage : kAlignment, bytes) != 0) {
    return nullptr;
  }
  if (huge) {
    madvise(pointer, bytes, MADV_HUGEPAGE);
  }
  return pointer;
}

constexpr MemorySource kPages{
    .allocate = allocate_pages,
    .free = [](void* pointer) { std::free(pointer); },
    .poison = [](void* pointer, std::size_t bytes) { std::memset(pointer, 0xFF, bytes); }};

// Sizes of the blocks of a device in a dry run: munmap asks for them.
class AddressSpace {
 public:
  void* take(std::size_t bytes) {
    void* pointer = reserve_address_space(bytes);
    if (pointer != nullptr) {
      const std::lock_guard lock(mutex_);
      bytes_[pointer] = bytes;
    }
    return pointer;
  }
  void give_back(void* pointer) {
    const std::lock_guard lock(mutex_);
    const auto block = bytes_.find(pointer);
    munmap(pointer, block->second);
    bytes_.erase(block);
  }

 private:
  std::mutex mutex_;
  std::unordered_map<void*, std::size_t> bytes_;
};

AddressSpace& address_space() {
  static auto& space = *new AddressSpace;
  return space;
}

constexpr MemorySource kAddressSpace{
    .allocate = [](std::size_t bytes) { return address_space().take(bytes); },
    .free = [](void* pointer) { address_space().give_back(pointer); },
    .poison = [](void* /*pointer*/, std::size_t /*bytes*/) {},
    .dry = true};

// One for all devices: a program plans for one kind at a time.
Allocator& dry_allocator() {
  static Allocator& dry = *new CachingAllocator(kAddressSpace);
  return dry;
}

}  // namespace

Allocator& allocator(Device device) {
  if (device.kind != DeviceKind::kCpu) {
    return in_dry_run() ? dry_allocator() : require_backend(device).allocator(device.index);
  }
  // Never destroyed: tensors in static storage may outlive every static destructor.
  static Allocator& cpu = *new CachingAllocator(kPages);
  return cpu;
}

bool poisoning() noexcept {
  return poison_depth.load(std::memory_order_relaxed) > 0;
}

PoisonFreshMemory::PoisonFreshMemory() {
  poison_depth.fetch_add(1);
}
PoisonFreshMemory::~PoisonFreshMemory() {
  poison_depth.fetch_sub(1);
}

}  // namespace clausius
