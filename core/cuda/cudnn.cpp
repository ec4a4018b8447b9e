// SPDX-License-Identifier: Apache-2.0
// Finds cuDNN's functions, and says in its own words what failed.
#if __has_include(<cudnn.h>)
#include "core/cuda/cudnn.h"

#include <array>
#include <map>
#include <mutex>

#include "core/cuda/context.h"
#include "core/cuda/dynamic_library.h"
#include "core/error.h"

namespace clausius::cuda {
namespace {

constexpr std::int64_t kOldestVersion = 90500;

// Never closed: plans in static storage outlive every static destructor.
const DynamicLibrary& library() {
  static const auto& found = *new DynamicLibrary("cuDNN", "libcudnn.so.9");
  return found;
}

std::string version_name(std::int64_t version) {
  return concat(version / 10000, ".", version / 100 % 100, ".", version % 100);
}

Cudnn load() {
  const DynamicLibrary& from = library();
  Cudnn found{
      .get_version = from.function<decltype(::cudnnGetVersion)>("cudnnGetVersion"),
      .get_error_string = from.function<decltype(::cudnnGetErrorString)>("cudnnGetErrorString"),
      .get_last_error_string =
          from.function<decltype(::cudnnGetLastErrorString)>("cudnnGetLastErrorString"),
      .create = from.function<decltype(::cudnnCreate)>("cudnnCreate"),
      .set_stream = from.function<decltype(::cudnnSetStream)>("cudnnSetStream"),
      .backend_create_descriptor =
          from.function<decltype(::cudnnBackendCreateDescriptor)>("cudnnBackendCreateDescriptor"),
      .backend_destroy_descriptor =
          from.function<decltype(::cudnnBackendDestroyDescriptor)>("cudnnBackendDestroyDescriptor"),
      .backend_set_attribute =
          from.function<decltype(::cudnnBackendSetAttribute)>("cudnnBackendSetAttribute"),
      .backend_get_attribute =
          from.function<decltype(::cudnnBackendGetAttribute)>("cudnnBackendGetAttribute"),
      .backend_finalize = from.function<decltype(::cudnnBackendFinalize)>("cudnnBackendFinalize"),
      .backend_execute = from.function<decltype(::cudnnBackendExecute)>("cudnnBackendExecute"),
      .version = 0};
  found.version = static_cast<std::int64_t>(found.get_version());
  CLS_CHECK(found.version >= kOldestVersion, DeviceError, "cuDNN is ", version_name(found.version),
            "; expected ", version_name(kOldestVersion), " or newer");
  return found;
}

}  // namespace

const Cudnn& cudnn() {
  static const Cudnn found = load();
  return found;
}

std::string cudnn_missing() {
  if (!library().available()) {
    return concat("cuDNN cannot be loaded (", library().failure(), ")");
  }
  const auto version = static_cast<std::int64_t>(
      library().function<decltype(::cudnnGetVersion)>("cudnnGetVersion")());
  return version >= kOldestVersion ? std::string()
                                   : concat("cuDNN is ", version_name(version), ", older than ",
                                            version_name(kOldestVersion));
}

cudnnHandle_t cudnn_handle(Device device) {
  static std::mutex mutex;
  static auto& handles = *new std::map<int, cudnnHandle_t>;
  const std::lock_guard lock(mutex);
  cudnnHandle_t& handle = handles[device.index];
  if (handle == nullptr) {
    bind_thread();
    CLS_CUDNN_CHECK(create(&handle));
    CLS_CUDNN_CHECK(set_stream(handle, compute_stream()));
  }
  return handle;
}

std::string cudnn_words(cudnnStatus_t status) {
  std::array<char, 1024> words{};
  cudnn().get_last_error_string(words.data(), words.size());
  return concat(cudnn().get_error_string(status), " (", words.data(), ") in cuDNN ",
                version_name(cudnn().version));
}

void check_cudnn(cudnnStatus_t status, std::string_view call) {
  CLS_CHECK(status == CUDNN_STATUS_SUCCESS, DeviceError, "cuDNN, ", call, ": ",
            cudnn_words(status));
}

CudnnDescriptor::CudnnDescriptor(cudnnBackendDescriptorType_t kind) {
  cudnnBackendDescriptor_t made = nullptr;
  CLS_CUDNN_CHECK(backend_create_descriptor(kind, &made));
  descriptor_.reset(made);
}

void CudnnDescriptor::Destroy::operator()(cudnnBackendDescriptor_t descriptor) const {
  (void)cudnn().backend_destroy_descriptor(descriptor);
}

void CudnnDescriptor::set(cudnnBackendAttributeName_t name,
                          cudnnBackendAttributeType_t type,
                          std::int64_t count,
                          const void* values) {
  CLS_CUDNN_CHECK(backend_set_attribute(get(), name, type, count, values));
}

void CudnnDescriptor::set(cudnnBackendAttributeName_t name, const CudnnDescriptor& other) {
  set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, other.get());
}

void CudnnDescriptor::finalize() {
  CLS_CUDNN_CHECK(backend_finalize(get()));
}

std::int64_t CudnnDescriptor::values(cudnnBackendAttributeName_t name,
                                     cudnnBackendAttributeType_t type,
                                     std::int64_t most,
                                     void* values) const {
  std::int64_t count = 0;
  CLS_CUDNN_CHECK(backend_get_attribute(get(), name, type, most, &count, values));
  return count;
}

}  // namespace clausius::cuda
#endif
