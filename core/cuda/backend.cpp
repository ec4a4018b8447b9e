// SPDX-License-Identifier: Apache-2.0
// The CUDA backend: one compute stream a device, memory by the caching allocator over cudaMalloc, errors that name the call.
#include <array>
#include <memory>
#include <nvtx3/nvToolsExt.h>
#include <vector>

#include "core/caching_allocator.h"
#include "core/cuda/check.h"
#include "core/cuda/context.h"
#include "core/cuda/copy.cuh"
#include "core/device_backend.h"

namespace clausius::cuda {
namespace {

void* allocate_device_memory(std::size_t bytes) {
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
    CLS_CUDA_CHECK(
        cudaMemcpyAsync(to, from, bytes, kind_of(to_device, from_device), compute_stream()));
    if (to_device.kind == DeviceKind::kCpu || from_device.kind == DeviceKind::kCpu) {
      CLS_CUDA_CHECK(cudaStreamSynchronize(compute_stream()));
    }
  }

  void copy(const Tensor& source, Tensor& destination) override { cuda::copy(source, destination); }
  void fill(Tensor& destination, double value) override { cuda::fill(destination, value); }

  void synchronize(int /*index*/) override {
    CLS_CUDA_CHECK(cudaStreamSynchronize(compute_stream()));
  }

  DeviceMemory memory(int index) const override {
    int current = 0;
    std::size_t free = 0;
    std::size_t total = 0;
    CLS_CUDA_CHECK(cudaGetDevice(&current));
    CLS_CUDA_CHECK(cudaSetDevice(index));
    CLS_CUDA_CHECK(cudaMemGetInfo(&free, &total));
    CLS_CUDA_CHECK(cudaSetDevice(current));
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
  std::vector<Allocator*> allocators_;
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

cudaStream_t compute_stream() {
  static const cudaStream_t stream = [] {
    cudaStream_t made = nullptr;
    CLS_CUDA_CHECK(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking));
    return made;
  }();
  return stream;
}

}  // namespace clausius::cuda
