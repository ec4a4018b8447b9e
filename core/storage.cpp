// SPDX-License-Identifier: Apache-2.0
// Lifetime of device memory blocks.
#include "core/storage.h"

#include <utility>

#include "core/allocator.h"

namespace clausius {

Storage::Storage(std::size_t bytes, Device device)
    : data_(static_cast<std::byte*>(allocator(device).allocate(bytes))),
      bytes_(bytes),
      device_(device) {}

Storage::Storage(void* data, std::size_t bytes, Device device, std::function<void()> release)
    : data_(static_cast<std::byte*>(data)),
      bytes_(bytes),
      device_(device),
      owned_(false),
      release_(std::move(release)) {}

Storage::~Storage() {
  if (owned_) {
    allocator(device_).release(data_, bytes_);
  } else if (release_) {
    release_();
  }
}

}  // namespace clausius
