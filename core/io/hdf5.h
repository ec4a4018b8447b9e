// SPDX-License-Identifier: Apache-2.0
// HDF5 files of tensors, texts and attributes, with a checksum on each dataset. The library's own
// types stay in the sources.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/dtype.h"
#include "core/shape.h"
#include "core/tensor.h"

namespace clausius {

/// What an attribute holds.
using Hdf5Value = std::variant<std::int64_t, double, std::string>;

/// Writes a new HDF5 file. Names are paths inside the file (`group/dataset`); groups on the way are
/// made. Datasets are contiguous, those of a page or more start on a page border, and each carries
/// the attributes `dtype` (bf16 is stored as u16) and `xxh3_128`, the hash of its bytes. Every
/// error is an IoError naming the file, the object and HDF5's reason. Threads may use different
/// files at once; calls into HDF5 take turns.
class Hdf5Writer {
 public:
  /// Creates the file, or empties the one that is there.
  explicit Hdf5Writer(const std::filesystem::path& path);
  /// Closes, ignoring errors: call close() where they matter.
  ~Hdf5Writer();
  Hdf5Writer(const Hdf5Writer&) = delete;
  Hdf5Writer& operator=(const Hdf5Writer&) = delete;

  void group(std::string_view name);
  /// Errors: UnsupportedError for a tensor that is not on the CPU.
  void tensor(std::string_view name, const Tensor& value);
  /// A text of any length (attributes end at 64 KiB). Errors: IoError when it holds a zero byte.
  void text(std::string_view name, std::string_view value);
  /// On a group or dataset that exists; "/" is the file itself.
  void attribute(std::string_view object, std::string_view name, const Hdf5Value& value);
  void close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

struct Hdf5DatasetInfo {
  Shape shape;
  /// The element type it is read as; kU8 for texts.
  Dtype dtype = Dtype::kF32;
  bool is_text = false;
};

/// Reads HDF5 files, ours and others'. Foreign element types are read as the smallest of ours that
/// holds them (f16 as f32, u16 as i32, u32 as i64). A file that a live or killed SWMR writer left
/// marked as open is readable too. Every error is an IoError naming the file, the object and HDF5's
/// reason.
class Hdf5Reader {
 public:
  enum class Checksums {
    kWhenPresent,  ///< verify those that are there
    kRequired,     ///< a dataset without one is an error
  };

  explicit Hdf5Reader(const std::filesystem::path& path,
                      Checksums checksums = Checksums::kWhenPresent);
  ~Hdf5Reader();
  Hdf5Reader(const Hdf5Reader&) = delete;
  Hdf5Reader& operator=(const Hdf5Reader&) = delete;

  /// A group or dataset of this name exists.
  [[nodiscard]] bool contains(std::string_view name) const;
  /// Names of all datasets below `group`, relative to it, sorted.
  [[nodiscard]] std::vector<std::string> datasets(std::string_view group = "/") const;
  [[nodiscard]] Hdf5DatasetInfo info(std::string_view name) const;
  /// The whole dataset, its checksum verified.
  [[nodiscard]] Tensor tensor(std::string_view name) const;
  /// Into existing memory. Errors: ShapeError or DtypeError when `destination`, which must be
  /// contiguous, does not fit.
  void tensor_into(std::string_view name, Tensor& destination) const;
  /// Rows [begin, end) of the first axis; not verified, as checksums span the dataset.
  [[nodiscard]] Tensor rows(std::string_view name, std::int64_t begin, std::int64_t end) const;
  [[nodiscard]] std::string text(std::string_view name) const;
  /// Empty when the object has no such attribute.
  [[nodiscard]] std::optional<Hdf5Value> attribute(std::string_view object,
                                                   std::string_view name) const;
  /// Names of all attributes of an object, sorted.
  [[nodiscard]] std::vector<std::string> attribute_names(std::string_view object) const;
  /// An attribute that must be there and be a T (std::int64_t, double or std::string; integers are
  /// read as doubles too).
  template <class T>
  [[nodiscard]] T require(std::string_view object, std::string_view name) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace clausius
