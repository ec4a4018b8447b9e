// SPDX-License-Identifier: Apache-2.0
// The CPU's memory (64-byte aligned, huge pages for large blocks), and which allocator a device has.
#include "core/allocator.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

#include "core/caching_allocator.h"
#include "core/device_backend.h"

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

}  // namespace

Allocator& allocator(Device device) {
  if (device.kind != DeviceKind::kCpu) {
    return require_backend(device).allocator(device.index);
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
