// SPDX-License-Identifier: Apache-2.0
// cuDNN, loaded when first needed: checked calls, and descriptors that free themselves. A machine without it runs everything else.
#pragma once

#include <cstdint>
#include <cudnn.h>
#include <memory>
#include <string>
#include <string_view>

#include "core/device.h"

namespace clausius::cuda {

/// What we call of the library.
struct Cudnn {
  decltype(&::cudnnGetVersion) get_version;
  decltype(&::cudnnGetErrorString) get_error_string;
  decltype(&::cudnnGetLastErrorString) get_last_error_string;
  decltype(&::cudnnCreate) create;
  decltype(&::cudnnSetStream) set_stream;
  decltype(&::cudnnBackendCreateDescriptor) backend_create_descriptor;
  decltype(&::cudnnBackendDestroyDescriptor) backend_destroy_descriptor;
  decltype(&::cudnnBackendSetAttribute) backend_set_attribute;
  decltype(&::cudnnBackendGetAttribute) backend_get_attribute;
  decltype(&::cudnnBackendFinalize) backend_finalize;
  decltype(&::cudnnBackendExecute) backend_execute;
  std::int64_t version;  // 91900 is 9.19.0
};

/// Errors: DeviceError where libcudnn.so.9 cannot be loaded or is older than 9.5.
[[nodiscard]] const Cudnn& cudnn();
/// Why cudnn() would throw; empty where it would not.
[[nodiscard]] std::string cudnn_missing();
/// The handle of a device; its work runs on the compute stream.
[[nodiscard]] cudnnHandle_t cudnn_handle(Device device);

/// cuDNN's words for a result, with its version.
[[nodiscard]] std::string cudnn_words(cudnnStatus_t status);
/// Throws DeviceError with the call's text and the words for its result.
void check_cudnn(cudnnStatus_t status, std::string_view call);
#define CLS_CUDNN_CHECK(call) ::clausius::cuda::check_cudnn(::clausius::cuda::cudnn().call, #call)

/// One descriptor of the graph interface: set, finalize, use.
class CudnnDescriptor {
 public:
  explicit CudnnDescriptor(cudnnBackendDescriptorType_t kind);

  template <class T>
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const T& value) {
    set(name, type, 1, &value);
  }
  void set(cudnnBackendAttributeName_t name,
           cudnnBackendAttributeType_t type,
           std::int64_t count,
           const void* values);
  void set(cudnnBackendAttributeName_t name, const CudnnDescriptor& other);
  void finalize();

  /// How many there are; the first `most` of them go to `values`.
  std::int64_t values(cudnnBackendAttributeName_t name,
                      cudnnBackendAttributeType_t type,
                      std::int64_t most,
                      void* values) const;
  [[nodiscard]] cudnnBackendDescriptor_t get() const { return descriptor_.get(); }

 private:
  struct Destroy {
    void operator()(cudnnBackendDescriptor_t descriptor) const;
  };
  std::unique_ptr<void, Destroy> descriptor_;
};

}  // namespace clausius::cuda
