// SPDX-License-Identifier: Apache-2.0
// Lifetime of device memory blocks.
#include "core/storage.h"

#include <utility>

#include "core/allocator.h"

namespace clausius {

Storage::Storage(std::size_t bytes, Device device)
    : bytes_(bytes), device_(device), owner_(&allocator(device)) {
  data_ = static_cast<std::byte*>(owner_->allocate(bytes));
}

Storage::Storage(void* data, std::size_t bytes, Device device, std::function<void()> release)
    : data_(static_cast<std::byte*>(data)),
      bytes_(bytes),
      device_(device),
      release_(std::move(release)) {}

Storage::~Storage() {
  if (owner_ != nullptr) {
    owner_->release(data_, bytes_);
  } else if (release_) {
    release_();
  }
}

}  // namespace clausius
