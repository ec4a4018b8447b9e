// SPDX-License-Identifier: Apache-2.0
// A CUDA backend whose device is the emulator: its memory is the host's, its kernels are our .cu files.
#include <cstdlib>
#include <cstring>

#include "core/caching_allocator.h"
#include "core/cuda/copy.cuh"
#include "core/device_backend.h"
#include "tests/cuda_emulation/range_log.h"

namespace clausius::emulation {
namespace {

constexpr MemorySource kHostMemory{
    .allocate =
        [](std::size_t bytes) { return std::aligned_alloc(256, (bytes + 255) / 256 * 256); },
    .free = [](void* pointer) { std::free(pointer); },
    .poison = [](void* pointer, std::size_t bytes) { std::memset(pointer, 0xFF, bytes); }};

class EmulatedBackend final : public DeviceBackend {
 public:
  int count() const override { return 1; }
  std::string describe(int /*index*/) const override { return "emulated on the host"; }
  Allocator& allocator(int /*index*/) override {
    static Allocator& memory = *new CachingAllocator(kHostMemory);
    return memory;
  }
  void copy_bytes(void* to,
                  Device /*to_device*/,
                  const void* from,
                  Device /*from_device*/,
                  std::size_t bytes) override {
    std::memcpy(to, from, bytes);
  }
  void copy(const Tensor& source, Tensor& destination) override { cuda::copy(source, destination); }
  void fill(Tensor& destination, double value) override { cuda::fill(destination, value); }
  void synchronize(int /*index*/) override {}
  DeviceMemory memory(int /*index*/) const override {
    return {.free_bytes = kMemoryBytes, .total_bytes = kMemoryBytes};
  }
  void begin_range(std::string_view name) override {
    if (RangeLog* log = RangeLog::current(); log != nullptr) {
      log->begin(name);
    }
  }
  void end_range() noexcept override {
    if (RangeLog* log = RangeLog::current(); log != nullptr) {
      log->end();
    }
  }

 private:
  static constexpr std::int64_t kMemoryBytes = std::int64_t{1} << 30;
};

[[maybe_unused]] const bool registered = [] {
  register_cuda_backend([]() -> DeviceBackend* { return new EmulatedBackend; });
  return true;
}();

}  // namespace
}  // namespace clausius::emulation
