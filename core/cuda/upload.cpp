// SPDX-License-Identifier: Apache-2.0
// Pinned staging.
#include "core/cuda/upload.h"

#include <cstring>
#include <utility>

#include "core/caching_allocator.h"
#include "core/cuda/context.h"
#include "core/cuda/event.h"

namespace clausius::cuda {
namespace {

constexpr MemorySource kPinnedMemory{
    .allocate =
        [](std::size_t bytes) {
          void* pointer = nullptr;
          CLS_CUDA_CHECK(cudaMallocHost(&pointer, bytes));
          return pointer;
        },
    .free = [](void* pointer) { (void)cudaFreeHost(pointer); },
    .poison = [](void* pointer, std::size_t bytes) { std::memset(pointer, 0xFF, bytes); }};

CachingAllocator& pinned_memory() {
  static CachingAllocator& memory = *new CachingAllocator(kPinnedMemory);
  return memory;
}

class PinnedUpload final : public DeviceUpload {
 public:
  explicit PinnedUpload(const Tensor& host)
      : there_(Tensor::empty(host.shape(), host.dtype(), kCuda)), bytes_(host.bytes()) {
    if (bytes_ == 0) {
      return;
    }
    staging_ = pinned_memory().allocate(bytes_);
    std::memcpy(staging_, host.contiguous().raw(), bytes_);
    // The memory may have been another tensor's, whose last use is still to come.
    Event free;
    free.record(compute_stream());
    free.hold_back(copy_stream());
    CLS_CUDA_CHECK(
        cudaMemcpyAsync(there_.raw(), staging_, bytes_, cudaMemcpyHostToDevice, copy_stream()));
    arrived_.record(copy_stream());
  }
  ~PinnedUpload() override {
    if (staging_ != nullptr) {
      (void)cudaStreamSynchronize(copy_stream());
      pinned_memory().release(staging_, bytes_);
    }
  }

  Tensor take() override {
    arrived_.hold_back(compute_stream());
    return there_;
  }

 private:
  Tensor there_;
  std::size_t bytes_;
  void* staging_ = nullptr;
  Event arrived_;
};

}  // namespace

std::unique_ptr<DeviceUpload> start_upload(const Tensor& host) {
  return std::make_unique<PinnedUpload>(host);
}

}  // namespace clausius::cuda
