// SPDX-License-Identifier: Apache-2.0
// Libraries that are loaded when first needed: a machine without them runs everything else.
#pragma once

#include <string>

namespace clausius::cuda {

/// An open shared library; stays open for the life of the process.
class DynamicLibrary {
 public:
  /// `name`: what people call it ("NCCL"); `file`: its soname ("libnccl.so.2"), searched where the loader searches.
  DynamicLibrary(std::string name, std::string file);

  [[nodiscard]] bool available() const { return handle_ != nullptr; }
  /// Why it is not available, in the loader's words.
  [[nodiscard]] const std::string& failure() const { return failure_; }

  /// Errors: DeviceError naming library, file and what the loader said.
  template <class Function>
  [[nodiscard]] Function* function(const char* symbol) const {
    return reinterpret_cast<Function*>(find(symbol));
  }

 private:
  [[nodiscard]] void* find(const char* symbol) const;

  std::string name_;
  std::string file_;
  std::string failure_;
  void* handle_ = nullptr;
};

}  // namespace clausius::cuda
