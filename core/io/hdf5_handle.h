// SPDX-License-Identifier: Apache-2.0
// HDF5 identifiers that close themselves, and failed calls as IoErrors. Included by the hdf5*.cpp
// files alone.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <hdf5.h>

#include "core/dtype.h"
#include "core/io/hdf5.h"
#include "core/shape.h"

namespace clausius::detail::h5 {

inline constexpr const char* kDtypeAttribute = "dtype";
inline constexpr const char* kChecksumAttribute = "xxh3_128";

template <herr_t (*Close)(hid_t)>
class Handle {
 public:
  Handle() = default;
  explicit Handle(hid_t id) : id_(id) {}
  ~Handle() { reset(); }
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, H5I_INVALID_HID)) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    return *this;
  }

  [[nodiscard]] hid_t get() const { return id_; }
  [[nodiscard]] explicit operator bool() const { return id_ >= 0; }
  herr_t reset() {
    const hid_t id = std::exchange(id_, H5I_INVALID_HID);
    return id >= 0 ? Close(id) : 0;
  }

 private:
  hid_t id_ = H5I_INVALID_HID;
};

using File = Handle<H5Fclose>;
using Object = Handle<H5Oclose>;
using Dataset = Handle<H5Dclose>;
using Group = Handle<H5Gclose>;
using Space = Handle<H5Sclose>;
using Type = Handle<H5Tclose>;
using Properties = Handle<H5Pclose>;
using AttributeHandle = Handle<H5Aclose>;

/// Held around every use of the library: it may be built without its own lock. Silences HDF5's
/// printing in this thread.
class LibraryLock {
 public:
  LibraryLock();

 private:
  std::lock_guard<std::recursive_mutex> lock_;
};

/// For destructors: takes the lock and drops what the library says.
void close_quietly(File& file);

/// The reason that HDF5 recorded for the last failed call of this thread; clears it.
[[nodiscard]] std::string take_reason();

/// Throws IoError: `file: cannot action 'object': reason`.
[[noreturn]] void fail(const std::filesystem::path& file,
                       std::string_view action,
                       std::string_view object);

/// `id` wrapped, or the error.
template <class H>
[[nodiscard]] H checked(hid_t id,
                        const std::filesystem::path& file,
                        std::string_view action,
                        std::string_view object = {}) {
  if (id < 0) {
    fail(file, action, object);
  }
  return H(id);
}

/// For calls that answer with a status (negative: failed).
template <class Status>
Status check(Status status,
             const std::filesystem::path& file,
             std::string_view action,
             std::string_view object = {}) {
  if (status < 0) {
    fail(file, action, object);
  }
  return status;
}

/// Element type in memory; bf16 travels as u16.
[[nodiscard]] hid_t memory_type(Dtype dtype);
/// Element type on disk, little-endian everywhere.
[[nodiscard]] hid_t file_type(Dtype dtype);

/// Access properties of every file: format 1.10, whose metadata carry checksums; locks where the
/// file system has them.
[[nodiscard]] Properties file_access(const std::filesystem::path& path);
/// Links whose missing groups are made, with UTF-8 names.
[[nodiscard]] Properties link_creation(const std::filesystem::path& path);

[[nodiscard]] Space dense_space(const std::filesystem::path& path, const Shape& shape);

/// A fixed-length UTF-8 text, zero-padded (at least one byte, as HDF5 has no empty texts).
[[nodiscard]] Type text_type(const std::filesystem::path& path, std::size_t bytes);

void write_attribute(const std::filesystem::path& path,
                     hid_t object,
                     std::string_view object_name,
                     std::string_view name,
                     const Hdf5Value& value);
/// Empty when there is none of this name. Errors: IoError when it is not one number or text.
[[nodiscard]] std::optional<Hdf5Value> read_attribute(const std::filesystem::path& path,
                                                      hid_t object,
                                                      std::string_view object_name,
                                                      std::string_view name);

/// A fixed or variable-length text of `type`, which `read` puts where it is told.
[[nodiscard]] std::string read_text(
    const std::filesystem::path& path,
    const Type& type,
    std::string_view object_name,
    const std::function<herr_t(hid_t memory, void* destination)>& read);

}  // namespace clausius::detail::h5
