// SPDX-License-Identifier: Apache-2.0
// The CUDA backend: one compute stream a device, memory by the caching allocator over cudaMalloc, errors that name the call.
#include <array>
#include <memory>
#include <nvtx3/nvToolsExt.h>
#include <vector>

#include "core/caching_allocator.h"
#include "core/comm/nccl.h"
#include "core/cuda/check.h"
#include "core/cuda/context.h"
#include "core/cuda/copy.cuh"
#include "core/cuda/event.h"
#include "core/cuda/recording.h"
#include "core/cuda/upload.h"
#include "core/device_backend.h"

namespace clausius::cuda {
namespace {

int selected = 0;

cudaStream_t make_stream() {
  bind_thread();
  cudaStream_t made = nullptr;
  CLS_CUDA_CHECK(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking));
  return made;
}

class Mark final : public DeviceMoment {
 public:
  Mark() { event_.record(compute_stream()); }
  std::chrono::steady_clock::time_point time() override { return event_.time(compute_stream()); }

 private:
  Event event_;
};

void* allocate_device_memory(std::size_t bytes) {
  bind_thread();
  void* pointer = nullptr;
  const cudaError_t result = cudaMalloc(&pointer, bytes);
  if (result == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();  // said by the caller, with the accounts
    return nullptr;
  }
  CLS_CUDA_CHECK(result);
  return pointer;
}

constexpr MemorySource kDeviceMemory{
    .allocate = allocate_device_memory,
    .free = [](void* pointer) { (void)cudaFree(pointer); },
    .poison =
        [](void* pointer, std::size_t bytes) {
          CLS_CUDA_CHECK(cudaMemsetAsync(pointer, 0xFF, bytes, compute_stream()));
        }};

cudaMemcpyKind kind_of(Device to, Device from) {
  if (to.kind == DeviceKind::kCpu) {
    return cudaMemcpyDeviceToHost;
  }
  return from.kind == DeviceKind::kCpu ? cudaMemcpyHostToDevice : cudaMemcpyDeviceToDevice;
}

class CudaBackend final : public DeviceBackend {
 public:
  explicit CudaBackend(int devices) {
    for (int i = 0; i < devices; ++i) {
      // Never destroyed: tensors in static storage may outlive every static destructor.
      allocators_.push_back(new CachingAllocator(kDeviceMemory));
    }
  }

  int count() const override { return static_cast<int>(allocators_.size()); }

  std::string describe(int index) const override {
    cudaDeviceProp properties{};
    CLS_CUDA_CHECK(cudaGetDeviceProperties(&properties, index));
    return concat(properties.name, ", ", properties.totalGlobalMem >> 20, " MiB, sm_",
                  properties.major, properties.minor, ", ", properties.multiProcessorCount,
                  " multiprocessors");
  }

  Allocator& allocator(int index) override {
    return *allocators_.at(static_cast<std::size_t>(index));
  }

  void copy_bytes(void* to,
                  Device to_device,
                  const void* from,
                  Device from_device,
                  std::size_t bytes) override {
    const bool with_host =
        to_device.kind == DeviceKind::kCpu || from_device.kind == DeviceKind::kCpu;
    if (with_host) {
      refuse_recording("it copies between the host and the device");
    }
    CLS_CUDA_CHECK(
        cudaMemcpyAsync(to, from, bytes, kind_of(to_device, from_device), compute_stream()));
    if (with_host) {
      CLS_CUDA_CHECK(cudaStreamSynchronize(compute_stream()));
    }
  }

  void copy(const Tensor& source, Tensor& destination) override { cuda::copy(source, destination); }
  void fill(Tensor& destination, double value) override { cuda::fill(destination, value); }

  void select(int ordinal) override {
    selected = ordinal;
    bind_thread();
  }

  std::unique_ptr<Communicator> connect(std::unique_ptr<Communicator> host,
                                        const CommunicatorOptions& options) override {
    return detail::make_nccl_communicator(std::move(host), options);
  }

  std::unique_ptr<DeviceMoment> mark() override { return std::make_unique<Mark>(); }

  DeviceRecording record(const std::function<void()>& work) override {
    return record_work(*allocators_.front(), work);
  }
  void refuse_in_recording(std::string_view why) override { refuse_recording(why); }

  std::unique_ptr<DeviceUpload> upload(const Tensor& host) override { return start_upload(host); }

  void synchronize(int /*index*/) override {
    refuse_recording("it waits for the device");
    CLS_CUDA_CHECK(cudaStreamSynchronize(compute_stream()));
  }

  DeviceMemory memory() const override {
    std::size_t free = 0;
    std::size_t total = 0;
    bind_thread();
    CLS_CUDA_CHECK(cudaMemGetInfo(&free, &total));
    return {.free_bytes = static_cast<std::int64_t>(free),
            .total_bytes = static_cast<std::int64_t>(total)};
  }

  void begin_range(std::string_view name) override {
    std::array<char, 64> text{};  // names of ops are views, and NVTX wants an end
    name.copy(text.data(), text.size() - 1);
    nvtxRangePushA(text.data());
  }
  void end_range() noexcept override { nvtxRangePop(); }

 private:
  std::vector<CachingAllocator*> allocators_;
};

DeviceBackend* probe() {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    (void)cudaGetLastError();
    return nullptr;
  }
  return new CudaBackend(devices);
}

[[maybe_unused]] const bool registered = [] {
  register_cuda_backend(probe);
  return true;
}();

}  // namespace

int selected_device() {
  return selected;
}

void bind_thread() {
  CLS_CUDA_CHECK(cudaSetDevice(selected));
}

bool has_warpgroup_products() {
#ifdef CLAUSIUS_CUDA_SM90A
  static const bool has = [] {
    int major = 0;
    int minor = 0;
    CLS_CUDA_CHECK(
        cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, selected_device()));
    CLS_CUDA_CHECK(
        cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, selected_device()));
    return major == 9 && minor == 0;
  }();
  return has;
#else
  return false;
#endif
}
cudaStream_t compute_stream() {
  static const cudaStream_t stream = make_stream();
  return stream;
}

cudaStream_t copy_stream() {
  static const cudaStream_t stream = make_stream();
  return stream;
}

cudaStream_t communication_stream() {
  static const cudaStream_t stream = make_stream();
  return stream;
}

}  // namespace clausius::cuda
