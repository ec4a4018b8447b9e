// SPDX-License-Identifier: Apache-2.0
// A CUDA backend whose device is the emulator: its memory is the host's, its kernels are our .cu files.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "core/caching_allocator.h"
#include "core/cuda/copy.cuh"
#include "core/device_backend.h"
#include "core/error.h"

namespace clausius::emulation {
namespace {

// Every tensor has memory of its own, of exactly its size, returned when it dies: with the sanitizers on, one byte beyond it or after
// it is an error with a stack, where a device's allocator rounds up and keeps.
class ExactAllocator final : public Allocator {
 public:
  void* allocate(std::size_t bytes) override {
    constexpr std::size_t kAlignment = 256;  // cudaMalloc's
    void* pointer = nullptr;
    CLS_CHECK(posix_memalign(&pointer, kAlignment, std::max<std::size_t>(bytes, 1)) == 0,
              MemoryError, "no ", bytes, " bytes for the emulated device");
    if (poisoning()) {
      std::memset(pointer, 0xFF, bytes);
    }
    stats_.used_bytes += bytes;
    stats_.peak_bytes = std::max(stats_.peak_bytes, stats_.used_bytes);
    return pointer;
  }
  void release(void* pointer, std::size_t bytes) noexcept override {
    stats_.used_bytes -= bytes;
    std::free(pointer);
  }
  MemoryStats stats() const override { return stats_; }
  void reset_peak() override { stats_.peak_bytes = stats_.used_bytes; }
  void trim() override {}
  void set_limit(std::size_t /*bytes*/) override {}

 private:
  MemoryStats stats_;
};

class EmulatedBackend final : public DeviceBackend {
 public:
  int count() const override { return 1; }
  std::string describe(int /*index*/) const override { return "emulated on the host"; }
  Allocator& allocator(int /*index*/) override {
    static Allocator& memory = *new ExactAllocator;
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
};

[[maybe_unused]] const bool registered = [] {
  register_cuda_backend([]() -> DeviceBackend* { return new EmulatedBackend; });
  return true;
}();

}  // namespace
}  // namespace clausius::emulation
