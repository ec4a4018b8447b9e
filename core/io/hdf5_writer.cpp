// SPDX-License-Identifier: Apache-2.0
// Hdf5Writer.
#include <fcntl.h>
#include <string>

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/hash.h"
#include "core/io/hdf5.h"
#include "core/io/hdf5_handle.h"

namespace clausius {
namespace {

namespace h5 = detail::h5;
using h5::check;
using h5::checked;

}  // namespace

struct Hdf5Writer::Impl {
  std::filesystem::path path;
  h5::File file;

  ~Impl() { h5::close_quietly(file); }

  // Creates the dataset, writes it unless it is empty, and attaches the hash.
  void write(const std::string& name,
             hid_t stored,
             hid_t memory,
             const h5::Space& space,
             const void* data,
             const Hash128& hash,
             std::string_view dtype) {
    const auto creation =
        checked<h5::Properties>(H5Pcreate(H5P_DATASET_CREATE), path, "prepare dataset", name);
    check(H5Pset_layout(creation.get(), H5D_CONTIGUOUS), path, "choose the layout of", name);
    check(H5Pset_fill_time(creation.get(), H5D_FILL_TIME_NEVER), path, "choose the filling of",
          name);
    const h5::Properties link = h5::link_creation(path);
    const auto dataset =
        checked<h5::Dataset>(H5Dcreate2(file.get(), name.c_str(), stored, space.get(), link.get(),
                                        creation.get(), H5P_DEFAULT),
                             path, "create dataset", name);
    if (data != nullptr) {
      check(H5Dwrite(dataset.get(), memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data), path,
            "write dataset", name);
    }
    h5::write_attribute(path, dataset.get(), name, h5::kDtypeAttribute, std::string(dtype));
    h5::write_attribute(path, dataset.get(), name, h5::kChecksumAttribute, hash.hex());
  }
};

Hdf5Writer::Hdf5Writer(const std::filesystem::path& path) : impl_(std::make_unique<Impl>()) {
  // HDF5's own words for a missing directory or a full disk are long; the system's are not.
  FileDescriptor(path, O_WRONLY | O_CREAT | O_TRUNC).close();
  const h5::LibraryLock lock;
  impl_->path = path;
  const h5::Properties access = h5::file_access(path);
  impl_->file = checked<h5::File>(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.get()),
                                  path, "create");
}

Hdf5Writer::~Hdf5Writer() = default;

void Hdf5Writer::group(std::string_view name) {
  const h5::LibraryLock lock;
  const std::string text(name);
  const h5::Properties link = h5::link_creation(impl_->path);
  const auto group = checked<h5::Group>(
      H5Gcreate2(impl_->file.get(), text.c_str(), link.get(), H5P_DEFAULT, H5P_DEFAULT),
      impl_->path, "create group", name);
}

void Hdf5Writer::tensor(std::string_view name, const Tensor& value) {
  CLS_CHECK(value.defined() && value.device() == kCpu, UnsupportedError, impl_->path.string(),
            ": dataset '", name, "' must be a tensor on the cpu");
  const Tensor dense = value.contiguous();
  const Hash128 hash = xxh3_128({dense.raw(), dense.bytes()});
  const h5::LibraryLock lock;
  const h5::Space space = h5::dense_space(impl_->path, dense.shape());
  const void* const data = dense.numel() > 0 ? dense.raw() : nullptr;
  impl_->write(std::string(name), h5::file_type(dense.dtype()), h5::memory_type(dense.dtype()),
               space, data, hash, name_of(dense.dtype()));
}

void Hdf5Writer::text(std::string_view name, std::string_view value) {
  CLS_CHECK(value.find('\0') == std::string_view::npos, IoError, impl_->path.string(), ": text '",
            name, "' holds a zero byte");
  const Hash128 hash = xxh3_128(value);
  const h5::LibraryLock lock;
  const h5::Type type = h5::text_type(impl_->path, value.size());
  const h5::Space space = h5::dense_space(impl_->path, {});
  const std::string terminated(value);
  impl_->write(std::string(name), type.get(), type.get(), space, terminated.c_str(), hash, "text");
}

void Hdf5Writer::attribute(std::string_view object, std::string_view name, const Hdf5Value& value) {
  const h5::LibraryLock lock;
  const std::string text(object);
  const auto id = checked<h5::Object>(H5Oopen(impl_->file.get(), text.c_str(), H5P_DEFAULT),
                                      impl_->path, "open", object);
  h5::write_attribute(impl_->path, id.get(), object, name, value);
}

void Hdf5Writer::close() {
  const h5::LibraryLock lock;
  check(impl_->file.reset(), impl_->path, "close the file");
}

}  // namespace clausius
