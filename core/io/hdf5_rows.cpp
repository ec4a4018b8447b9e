// SPDX-License-Identifier: Apache-2.0
// The SWMR writer and the reader of what a killed one left.
#include "core/io/hdf5_rows.h"

#include <algorithm>
#include <array>
#include <limits>

#include "core/checked.h"
#include "core/error.h"
#include "core/io/atomic_file.h"
#include "core/io/hdf5_handle.h"

namespace clausius {
namespace {

namespace h5 = detail::h5;
using h5::check;
using h5::checked;

// A flush rewrites the last chunk, so chunks stay small.
constexpr std::int64_t kChunkBytes = 16 << 10;
constexpr std::int64_t kMostChunkRows = 256;

Shape with_rows(std::int64_t rows, const Shape& row_shape) {
  Shape shape{rows};
  for (const std::int64_t size : row_shape) {
    shape.push_back(size);
  }
  return shape;
}

using Sizes = std::array<hsize_t, kMaxRank>;

Sizes sizes_of(const Shape& shape) {
  Sizes sizes{};
  std::transform(shape.begin(), shape.end(), sizes.begin(),
                 [](std::int64_t size) { return narrow<hsize_t>(size); });
  return sizes;
}

void check_fits(const std::filesystem::path& path,
                const Hdf5RowSpec& spec,
                const Tensor& tensor,
                const Shape& shape) {
  CLS_CHECK(tensor.shape() == shape, ShapeError, path.string(), ": '", spec.name, "' takes shape ",
            shape, ", found ", tensor.shape());
  CLS_CHECK(tensor.dtype() == spec.dtype, DtypeError, path.string(), ": '", spec.name, "' takes ",
            spec.dtype, ", found ", tensor.dtype());
}

}  // namespace

struct Hdf5RowWriter::Impl {
  std::filesystem::path path;
  std::vector<Hdf5RowSpec> specs;
  h5::File file;
  std::vector<h5::Dataset> datasets;
  std::int64_t rows = 0;

  ~Impl() {
    const h5::LibraryLock lock;
    datasets.clear();
    h5::close_quietly(file);
  }

  void create(const Hdf5RowSpec& spec) {
    const Shape row = with_rows(1, spec.row_shape);
    const std::int64_t row_bytes =
        std::max<std::int64_t>(1, row.numel() * narrow<std::int64_t>(size_of(spec.dtype)));
    const Sizes empty = sizes_of(with_rows(0, spec.row_shape));
    Sizes limit = empty;
    limit[0] = H5S_UNLIMITED;
    // Chunk sizes are at least 1, also where the row is empty.
    Sizes chunk = sizes_of(row);
    std::replace(chunk.begin(), chunk.end(), hsize_t{0}, hsize_t{1});
    chunk[0] =
        narrow<hsize_t>(std::clamp<std::int64_t>(kChunkBytes / row_bytes, 1, kMostChunkRows));

    const int rank = row.rank();
    const auto space = checked<h5::Space>(H5Screate_simple(rank, empty.data(), limit.data()), path,
                                          "describe dataset", spec.name);
    const auto creation =
        checked<h5::Properties>(H5Pcreate(H5P_DATASET_CREATE), path, "prepare dataset", spec.name);
    check(H5Pset_chunk(creation.get(), rank, chunk.data()), path, "choose the chunks of",
          spec.name);
    const double nan = std::numeric_limits<double>::quiet_NaN();
    if (is_floating(spec.dtype) && spec.dtype != Dtype::kBf16) {
      check(H5Pset_fill_value(creation.get(), H5T_NATIVE_DOUBLE, &nan), path,
            "choose the filling of", spec.name);
    }
    const h5::Properties link = h5::link_creation(path);
    datasets.push_back(
        checked<h5::Dataset>(H5Dcreate2(file.get(), spec.name.c_str(), h5::file_type(spec.dtype),
                                        space.get(), link.get(), creation.get(), H5P_DEFAULT),
                             path, "create dataset", spec.name));
    const hid_t dataset = datasets.back().get();
    h5::write_attribute(path, dataset, spec.name, h5::kDtypeAttribute,
                        std::string(name_of(spec.dtype)));
    for (const auto& [name, value] : spec.attributes) {
      h5::write_attribute(path, dataset, spec.name, name, value);
    }
  }

  // Rows [rows, rows + count) of dataset i, without counting them.
  void extend(std::size_t i, const Tensor& values, std::int64_t count) {
    const std::string& name = specs[i].name;
    const hid_t dataset = datasets[i].get();
    const Tensor dense = values.contiguous();
    const Shape shape = with_rows(count, specs[i].row_shape);
    const Sizes size = sizes_of(with_rows(rows + count, specs[i].row_shape));
    check(H5Dset_extent(dataset, size.data()), path, "extend dataset", name);
    if (shape.numel() == 0) {
      return;
    }
    Sizes start{};
    start[0] = narrow<hsize_t>(rows);
    const Sizes extent = sizes_of(shape);
    const auto file_space =
        checked<h5::Space>(H5Dget_space(dataset), path, "examine dataset", name);
    check(H5Sselect_hyperslab(file_space.get(), H5S_SELECT_SET, start.data(), nullptr,
                              extent.data(), nullptr),
          path, "select rows of", name);
    const h5::Space memory_space = h5::dense_space(path, shape);
    check(H5Dwrite(dataset, h5::memory_type(specs[i].dtype), memory_space.get(), file_space.get(),
                   H5P_DEFAULT, dense.raw()),
          path, "write dataset", name);
  }
};

Hdf5RowWriter::Hdf5RowWriter(const std::filesystem::path& path,
                             std::vector<Hdf5RowSpec> specs,
                             const std::vector<Tensor>& start,
                             const std::map<std::string, Hdf5Value>& file_attributes)
    : impl_(std::make_unique<Impl>()) {
  const h5::LibraryLock lock;
  AtomicFile atomic(path);
  impl_->path = path;
  impl_->specs = std::move(specs);
  const h5::Properties access = h5::file_access(path);
  impl_->file = checked<h5::File>(
      H5Fcreate(atomic.temporary().c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.get()), path,
      "create");
  for (const auto& [name, value] : file_attributes) {
    h5::write_attribute(path, impl_->file.get(), "/", name, value);
  }
  for (const Hdf5RowSpec& spec : impl_->specs) {
    impl_->create(spec);
  }
  if (!start.empty()) {
    CLS_CHECK(start.size() == impl_->specs.size(), ShapeError, path.string(), ": ", start.size(),
              " tensors for ", impl_->specs.size(), " datasets");
    const std::int64_t count = start.front().size(0);
    for (std::size_t i = 0; i < start.size(); ++i) {
      check_fits(path, impl_->specs[i], start[i], with_rows(count, impl_->specs[i].row_shape));
      impl_->extend(i, start[i], count);
    }
    impl_->rows = count;
  }
  check(H5Fflush(impl_->file.get(), H5F_SCOPE_GLOBAL), path, "flush the file");
  check(H5Fstart_swmr_write(impl_->file.get()), path, "let others read");
  atomic.commit();  // the open file goes along
}

Hdf5RowWriter::~Hdf5RowWriter() = default;

void Hdf5RowWriter::append(const std::vector<Tensor>& row) {
  CLS_CHECK(row.size() == impl_->specs.size(), ShapeError, impl_->path.string(), ": ", row.size(),
            " rows for ", impl_->specs.size(), " datasets");
  for (std::size_t i = 0; i < row.size(); ++i) {
    check_fits(impl_->path, impl_->specs[i], row[i], impl_->specs[i].row_shape);
  }
  const h5::LibraryLock lock;
  for (std::size_t i = 0; i < row.size(); ++i) {
    impl_->extend(i, row[i], 1);
    check(H5Dflush(impl_->datasets[i].get()), impl_->path, "flush dataset", impl_->specs[i].name);
  }
  ++impl_->rows;
}

std::int64_t Hdf5RowWriter::num_rows() const {
  return impl_->rows;
}

void Hdf5RowWriter::close() {
  const h5::LibraryLock lock;
  for (h5::Dataset& dataset : impl_->datasets) {
    check(dataset.reset(), impl_->path, "close a dataset");
  }
  check(impl_->file.reset(), impl_->path, "close the file");
}

namespace {

bool matches(const Hdf5Reader& file, const Hdf5RowSpec& spec) {
  if (!file.contains(spec.name)) {
    return false;
  }
  const Hdf5DatasetInfo found = file.info(spec.name);
  return !found.is_text && found.dtype == spec.dtype && found.shape.rank() > 0 &&
         found.shape == with_rows(found.shape[0], spec.row_shape);
}

// Rows that can be read: a kill may leave the extent ahead of the data.
std::int64_t readable_rows(const Hdf5Reader& file, const std::string& name) {
  std::int64_t rows = file.info(name).shape[0];
  while (rows > 0) {
    try {
      static_cast<void>(file.rows(name, rows - 1, rows));
      break;
    } catch (const IoError&) {
      --rows;
    }
  }
  return rows;
}

}  // namespace

std::vector<Tensor> read_row_datasets(const std::filesystem::path& path,
                                      const std::vector<Hdf5RowSpec>& specs) {
  const Hdf5Reader file(path);
  std::int64_t rows = std::numeric_limits<std::int64_t>::max();
  for (const Hdf5RowSpec& spec : specs) {
    if (matches(file, spec)) {
      rows = std::min(rows, readable_rows(file, spec.name));
    }
  }
  rows = rows == std::numeric_limits<std::int64_t>::max() ? 0 : rows;
  std::vector<Tensor> result;
  for (const Hdf5RowSpec& spec : specs) {
    if (matches(file, spec)) {
      result.push_back(file.rows(spec.name, 0, rows));
    } else {
      const double filling =
          is_floating(spec.dtype) ? std::numeric_limits<double>::quiet_NaN() : 0.0;
      result.push_back(Tensor::full(with_rows(rows, spec.row_shape), filling, spec.dtype));
    }
  }
  return result;
}

}  // namespace clausius
