// SPDX-License-Identifier: Apache-2.0
// A CUDA backend whose device is the emulator: its memory is the host's, its kernels are our .cu files.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

#include "core/caching_allocator.h"
#include "core/comm/nccl.h"
#include "core/cuda/context.h"
#include "core/cuda/copy.cuh"
#include "core/cuda/event.h"
#include "core/device_backend.h"
#include "core/error.h"
#include "tests/cuda_emulation/device/range_log.h"

struct emulated_event {
  std::chrono::steady_clock::time_point time;
};
cudaError_t cudaEventCreate(cudaEvent_t* event) {
  *event = new emulated_event;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t /*stream*/) {
  event->time = std::chrono::steady_clock::now();
  return cudaSuccess;
}
// A stream that a test wants hung never comes to its events, for whoever asks.
cudaError_t cudaEventQuery(cudaEvent_t /*event*/) {
  const char* const wanted = std::getenv("EMULATED_STREAM");
  return wanted != nullptr && std::strcmp(wanted, "hung") == 0 ? cudaErrorNotReady : cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t /*event*/) {
  return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  *milliseconds = std::chrono::duration<float, std::milli>(end->time - begin->time).count();
  return cudaSuccess;
}
cudaError_t cudaDeviceGetPCIBusId(char* text, int size, int /*device*/) {
  std::snprintf(text, static_cast<std::size_t>(size), "emulated in process %d", ::getpid());
  return cudaSuccess;
}

namespace clausius::cuda {

int selected_device() {
  return 0;
}
void bind_thread() {}
// The emulated device is a Hopper, unless a test wants an older one.
bool has_warpgroup_products() {
  const char* const wanted = std::getenv("EMULATED_DEVICE");
  return wanted == nullptr || std::strcmp(wanted, "sm_80") != 0;
}
cudaStream_t compute_stream() {
  return nullptr;
}
cudaStream_t communication_stream() {
  return nullptr;
}

}  // namespace clausius::cuda

namespace clausius::emulation {
namespace {

class Mark final : public DeviceMoment {
 public:
  std::chrono::steady_clock::time_point time() override { return time_; }

 private:
  std::chrono::steady_clock::time_point time_ = std::chrono::steady_clock::now();
};

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

class Upload final : public DeviceUpload {
 public:
  explicit Upload(const Tensor& host) : there_(host.to(kCuda)) {}
  Tensor take() override { return there_; }

 private:
  Tensor there_;
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
  void select(int /*ordinal*/) override {}
  std::unique_ptr<Communicator> connect(std::unique_ptr<Communicator> host,
                                        const CommunicatorOptions& options) override {
    return detail::make_nccl_communicator(std::move(host), options);
  }
  std::unique_ptr<DeviceMoment> mark() override { return std::make_unique<Mark>(); }
  DeviceRecording record(const std::function<void()>& /*work*/) override {
    return {.refusal = "the emulated device does not record"};
  }
  void refuse_in_recording(std::string_view /*why*/) override {}
  std::unique_ptr<DeviceUpload> upload(const Tensor& host) override {
    return std::make_unique<Upload>(host);
  }
  void synchronize(int /*index*/) override {}
  DeviceMemory memory() const override {
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
