// SPDX-License-Identifier: Apache-2.0
// HDF5 datasets that grow by a row at a time and can be read while they are written, and after a kill.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "core/io/hdf5.h"
#include "core/shape.h"
#include "core/tensor.h"

namespace clausius {

/// A dataset of shape (rows, row_shape...).
struct Hdf5RowSpec {
  std::string name;
  Dtype dtype = Dtype::kF32;
  Shape row_shape;
  std::map<std::string, Hdf5Value> attributes;
};

/// Appends rows to all datasets of a file at once (HDF5's single writer, multiple readers). Datasets and attributes
/// are fixed at the start. After each append, other processes see the row; after a kill, all rows but perhaps the
/// last are readable (Hdf5Reader, read_row_datasets).
class Hdf5RowWriter {
 public:
  /// Writes `start`, one tensor (rows, row_shape...) per spec with equal rows (none: no rows), under a temporary
  /// name, and puts the file in the place of `path`. Errors: IoError; ShapeError and DtypeError for tensors that do
  /// not fit their spec.
  Hdf5RowWriter(const std::filesystem::path& path,
                std::vector<Hdf5RowSpec> specs,
                const std::vector<Tensor>& start = {},
                const std::map<std::string, Hdf5Value>& file_attributes = {});
  /// Closes the file, ignoring errors: call close() where they matter.
  ~Hdf5RowWriter();
  Hdf5RowWriter(const Hdf5RowWriter&) = delete;
  Hdf5RowWriter& operator=(const Hdf5RowWriter&) = delete;

  /// One row per spec, of its row shape, in the order of the specs; the last dataset grows last. Errors: as the
  /// constructor.
  void append(const std::vector<Tensor>& row);
  [[nodiscard]] std::int64_t num_rows() const;
  /// Afterwards the file is a plain one.
  void close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The rows that all datasets have, one tensor (rows, row_shape...) per spec: what a killed writer left, for a new
/// one to start from. A dataset that the file lacks, or of another type or row shape, is filled with NaN (integers:
/// 0).
/// Errors: IoError when the file cannot be opened.
[[nodiscard]] std::vector<Tensor> read_row_datasets(const std::filesystem::path& path,
                                                    const std::vector<Hdf5RowSpec>& specs);

}  // namespace clausius
