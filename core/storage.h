// SPDX-License-Identifier: Apache-2.0
// A block of device memory shared by the tensors that view it.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "core/device.h"

namespace clausius {

class Allocator;

class Storage {
 public:
  /// Allocates from the device's allocator. Errors: MemoryError.
  Storage(std::size_t bytes, Device device);
  /// Memory owned elsewhere (a mapped file); `release` runs once, when the last tensor lets go.
  Storage(void* data, std::size_t bytes, Device device, std::function<void()> release);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] Device device() const { return device_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
  Device device_;
  Allocator* owner_ = nullptr;  // what a dry run took goes back there, whenever that is
  std::function<void()> release_;
};

}  // namespace clausius
