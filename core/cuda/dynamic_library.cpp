// SPDX-License-Identifier: Apache-2.0
// dlopen and dlsym with errors that say what to do.
#include "core/cuda/dynamic_library.h"

#include <dlfcn.h>
#include <utility>

#include "core/error.h"

namespace clausius::cuda {

DynamicLibrary::DynamicLibrary(std::string name, std::string file)
    : name_(std::move(name)),
      file_(std::move(file)),
      handle_(::dlopen(file_.c_str(), RTLD_NOW | RTLD_LOCAL)) {
  if (handle_ == nullptr) {
    failure_ = ::dlerror();
  }
}

void* DynamicLibrary::find(const char* symbol) const {
  CLS_CHECK(handle_ != nullptr, DeviceError, name_, " cannot be loaded (", failure_,
            "); install it, or add the folder of ", file_, " to LD_LIBRARY_PATH");
  void* const found = ::dlsym(handle_, symbol);
  CLS_CHECK(found != nullptr, DeviceError, name_, " (", file_, ") has no function ", symbol,
            ": it is too old");
  return found;
}

}  // namespace clausius::cuda
