// SPDX-License-Identifier: Apache-2.0
// Hdf5Reader.
#include <algorithm>
#include <array>
#include <span>

#include "core/checked.h"
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

// A live SWMR writer, or one that was killed, leaves this mark in the superblock (version 3: byte
// 11), and only SWMR readers pass it.
bool is_marked_swmr(const std::filesystem::path& path) {
  constexpr std::string_view kSignature = "\x89HDF\r\n\x1a\n\x03";
  constexpr std::size_t kFlags = 11;
  constexpr int kSwmrWriter = 4;
  const std::string start = read_file(path, kFlags + 1);
  return start.size() > kFlags && start.starts_with(kSignature) &&
         (start[kFlags] & kSwmrWriter) != 0;
}

h5::File open_for_reading(const std::filesystem::path& path) {
  const bool is_swmr = is_marked_swmr(
      path);  // reading also gives the system's words for a missing or unreadable file
  const h5::Properties access = h5::file_access(path);
  if (!is_swmr) {
    return checked<h5::File>(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.get()), path,
                             "open the file");
  }
  // The library reads metadata again when their checksum fails, as the writer may be busy, and
  // waits 1 ns, 2 ns, 4 ns, ... in between: 24 attempts end after 17 ms, the default of 100 never.
  constexpr unsigned kAttempts = 24;
  check(H5Pset_metadata_read_attempts(access.get(), kAttempts), path, "prepare reading");
  return checked<h5::File>(H5Fopen(path.c_str(), H5F_ACC_RDONLY | H5F_ACC_SWMR_READ, access.get()),
                           path, "open the file");
}

struct Listing {
  std::vector<std::string> names;
};

// Called by the library for each object below a group; must not throw through it.
herr_t list_dataset(hid_t /*group*/,
                    const char* name,
                    const H5O_info_t* info,
                    void* context) noexcept {
  auto& listing = *static_cast<Listing*>(context);
  try {
    if (info->type == H5O_TYPE_DATASET) {
      listing.names.emplace_back(name);
    }
  } catch (...) {
    return -1;
  }
  return 0;
}

herr_t list_attribute(hid_t /*object*/,
                      const char* name,
                      const H5A_info_t* /*info*/,
                      void* context) noexcept {
  auto& listing = *static_cast<Listing*>(context);
  try {
    listing.names.emplace_back(name);
  } catch (...) {
    return -1;
  }
  return 0;
}

}  // namespace

struct Hdf5Reader::Impl {
  std::filesystem::path path;
  h5::File file;
  Checksums checksums = Checksums::kWhenPresent;

  ~Impl() { h5::close_quietly(file); }

  h5::Dataset open(std::string_view name) const {
    return checked<h5::Dataset>(H5Dopen2(file.get(), std::string(name).c_str(), H5P_DEFAULT), path,
                                "open dataset", name);
  }

  Shape shape(const h5::Dataset& dataset, std::string_view name) const {
    const auto space =
        checked<h5::Space>(H5Dget_space(dataset.get()), path, "examine dataset", name);
    const int rank = check(H5Sget_simple_extent_ndims(space.get()), path, "examine dataset", name);
    CLS_CHECK(rank <= kMaxRank, IoError, path.string(), ": dataset '", name, "' has ", rank,
              " dimensions; at most ", kMaxRank, " are supported");
    std::array<hsize_t, kMaxRank> sizes{};
    check(H5Sget_simple_extent_dims(space.get(), sizes.data(), nullptr), path, "examine dataset",
          name);
    Shape result;
    for (int axis = 0; axis < rank; ++axis) {
      result.push_back(narrow<std::int64_t>(sizes[static_cast<std::size_t>(axis)]));
    }
    return result;
  }

  Dtype integer_dtype(const h5::Dataset& dataset,
                      const h5::Type& type,
                      std::string_view name) const {
    const std::size_t bytes = H5Tget_size(type.get());
    const bool has_sign =
        H5Tget_class(type.get()) == H5T_INTEGER && H5Tget_sign(type.get()) == H5T_SGN_2;
    if (bytes == 2 && !has_sign) {
      const auto mark = h5::read_attribute(path, dataset.get(), name, h5::kDtypeAttribute);
      if (mark == Hdf5Value(std::string(name_of(Dtype::kBf16)))) {
        return Dtype::kBf16;
      }
    }
    if (bytes == 1 && !has_sign) {
      return Dtype::kU8;
    }
    return bytes < 4 || (bytes == 4 && has_sign) ? Dtype::kI32 : Dtype::kI64;
  }

  Hdf5DatasetInfo info(const h5::Dataset& dataset, std::string_view name) const {
    const auto type = checked<h5::Type>(H5Dget_type(dataset.get()), path, "examine dataset", name);
    Hdf5DatasetInfo result{.shape = shape(dataset, name), .dtype = Dtype::kU8, .is_text = false};
    switch (H5Tget_class(type.get())) {
      case H5T_FLOAT:
        result.dtype = H5Tget_size(type.get()) <= 4 ? Dtype::kF32 : Dtype::kF64;
        break;
      case H5T_INTEGER:
        result.dtype = integer_dtype(dataset, type, name);
        break;
      case H5T_ENUM:  // how others store booleans
        break;
      case H5T_STRING:
        result.is_text = true;
        break;
      default:
        throw IoError(
            concat(path.string(), ": dataset '", name, "' holds neither numbers nor a text"));
    }
    return result;
  }

  void verify(const h5::Dataset& dataset,
              std::string_view name,
              std::span<const std::byte> bytes) const {
    const auto stored = h5::read_attribute(path, dataset.get(), name, h5::kChecksumAttribute);
    if (!stored) {
      CLS_CHECK(checksums != Checksums::kRequired, IoError, path.string(), ": dataset '", name,
                "' has no checksum");
      return;
    }
    const std::string found = xxh3_128(bytes).hex();
    CLS_CHECK(*stored == Hdf5Value(found), IoError, path.string(), ": dataset '", name,
              "' is damaged: its checksum is ", found, ", the file says ",
              std::holds_alternative<std::string>(*stored) ? std::get<std::string>(*stored)
                                                           : "something else");
  }

  void check_is_numeric(const Hdf5DatasetInfo& found, std::string_view name) const {
    CLS_CHECK(!found.is_text, IoError, path.string(), ": dataset '", name,
              "' is a text; expected numbers");
  }

  void read(const h5::Dataset& dataset, std::string_view name, Tensor& destination) const {
    if (destination.numel() > 0) {
      check(H5Dread(dataset.get(), h5::memory_type(destination.dtype()), H5S_ALL, H5S_ALL,
                    H5P_DEFAULT, destination.raw()),
            path, "read dataset", name);
    }
    verify(dataset, name, {destination.raw(), destination.bytes()});
  }
};

Hdf5Reader::Hdf5Reader(const std::filesystem::path& path, Checksums checksums)
    : impl_(std::make_unique<Impl>()) {
  const h5::LibraryLock lock;
  impl_->path = path;
  impl_->checksums = checksums;
  impl_->file = open_for_reading(path);
}

Hdf5Reader::~Hdf5Reader() = default;

bool Hdf5Reader::contains(std::string_view name) const {
  const h5::LibraryLock lock;
  // H5Lexists fails, rather than answering no, when a group on the way is missing.
  for (std::size_t end = 0; end != std::string_view::npos;) {
    end = name.find('/', end + 1);
    const std::string prefix(name.substr(0, end));
    if (prefix.empty() || prefix == "/") {
      continue;
    }
    if (check(H5Lexists(impl_->file.get(), prefix.c_str(), H5P_DEFAULT), impl_->path, "look up",
              prefix) == 0) {
      return false;
    }
  }
  return true;
}

std::vector<std::string> Hdf5Reader::datasets(std::string_view group) const {
  const h5::LibraryLock lock;
  Listing listing;
  const std::string start(group);
  const herr_t status =
      H5Ovisit_by_name2(impl_->file.get(), start.c_str(), H5_INDEX_NAME, H5_ITER_INC, list_dataset,
                        &listing, H5O_INFO_BASIC, H5P_DEFAULT);
  check(status, impl_->path, "list group", group);
  std::sort(listing.names.begin(), listing.names.end());
  return std::move(listing.names);
}

Hdf5DatasetInfo Hdf5Reader::info(std::string_view name) const {
  const h5::LibraryLock lock;
  return impl_->info(impl_->open(name), name);
}

Tensor Hdf5Reader::tensor(std::string_view name) const {
  const h5::LibraryLock lock;
  const h5::Dataset dataset = impl_->open(name);
  const Hdf5DatasetInfo found = impl_->info(dataset, name);
  impl_->check_is_numeric(found, name);
  Tensor result = Tensor::empty(found.shape, found.dtype);
  impl_->read(dataset, name, result);
  return result;
}

void Hdf5Reader::tensor_into(std::string_view name, Tensor& destination) const {
  const h5::LibraryLock lock;
  const h5::Dataset dataset = impl_->open(name);
  const Hdf5DatasetInfo found = impl_->info(dataset, name);
  impl_->check_is_numeric(found, name);
  CLS_CHECK(found.shape == destination.shape(), ShapeError, impl_->path.string(), ": dataset '",
            name, "' has shape ", found.shape, "; expected ", destination.shape());
  CLS_CHECK(found.dtype == destination.dtype(), DtypeError, impl_->path.string(), ": dataset '",
            name, "' holds ", found.dtype, "; expected ", destination.dtype());
  CLS_CHECK(destination.is_contiguous(), ShapeError, impl_->path.string(), ": dataset '", name,
            "' cannot be read into a strided tensor");
  impl_->read(dataset, name, destination);
}

Tensor Hdf5Reader::rows(std::string_view name, std::int64_t begin, std::int64_t end) const {
  const h5::LibraryLock lock;
  const h5::Dataset dataset = impl_->open(name);
  const Hdf5DatasetInfo found = impl_->info(dataset, name);
  impl_->check_is_numeric(found, name);
  const int rank = found.shape.rank();
  CLS_CHECK(rank > 0 && 0 <= begin && begin <= end && end <= found.shape[0], IoError,
            impl_->path.string(), ": rows [", begin, ", ", end, ") of dataset '", name,
            "', whose shape is ", found.shape);
  Shape shape = found.shape;
  shape[0] = end - begin;
  Tensor result = Tensor::empty(shape, found.dtype);
  if (result.numel() == 0) {
    return result;
  }
  std::array<hsize_t, kMaxRank> start{};
  std::array<hsize_t, kMaxRank> count{};
  start[0] = narrow<hsize_t>(begin);
  for (int axis = 0; axis < rank; ++axis) {
    count[static_cast<std::size_t>(axis)] = narrow<hsize_t>(shape[axis]);
  }
  const auto file_space =
      checked<h5::Space>(H5Dget_space(dataset.get()), impl_->path, "examine dataset", name);
  check(H5Sselect_hyperslab(file_space.get(), H5S_SELECT_SET, start.data(), nullptr, count.data(),
                            nullptr),
        impl_->path, "select rows of", name);
  const h5::Space memory_space = h5::dense_space(impl_->path, shape);
  check(H5Dread(dataset.get(), h5::memory_type(found.dtype), memory_space.get(), file_space.get(),
                H5P_DEFAULT, result.raw()),
        impl_->path, "read dataset", name);
  return result;
}

std::string Hdf5Reader::text(std::string_view name) const {
  const h5::LibraryLock lock;
  const h5::Dataset dataset = impl_->open(name);
  const Hdf5DatasetInfo found = impl_->info(dataset, name);
  CLS_CHECK(found.is_text && found.shape.numel() == 1, IoError, impl_->path.string(), ": dataset '",
            name, "' is not a single text");
  const auto type =
      checked<h5::Type>(H5Dget_type(dataset.get()), impl_->path, "examine dataset", name);
  std::string value = h5::read_text(impl_->path, type, name, [&](hid_t memory, void* destination) {
    return H5Dread(dataset.get(), memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, destination);
  });
  impl_->verify(dataset, name, std::as_bytes(std::span(value)));
  return value;
}

std::optional<Hdf5Value> Hdf5Reader::attribute(std::string_view object,
                                               std::string_view name) const {
  const h5::LibraryLock lock;
  const std::string text(object);
  const auto id = checked<h5::Object>(H5Oopen(impl_->file.get(), text.c_str(), H5P_DEFAULT),
                                      impl_->path, "open", object);
  return h5::read_attribute(impl_->path, id.get(), object, name);
}

std::vector<std::string> Hdf5Reader::attribute_names(std::string_view object) const {
  const h5::LibraryLock lock;
  const std::string text(object);
  const auto id = checked<h5::Object>(H5Oopen(impl_->file.get(), text.c_str(), H5P_DEFAULT),
                                      impl_->path, "open", object);
  Listing listing;
  check(H5Aiterate2(id.get(), H5_INDEX_NAME, H5_ITER_INC, nullptr, list_attribute, &listing),
        impl_->path, "list attributes of", object);
  std::sort(listing.names.begin(), listing.names.end());
  return std::move(listing.names);
}

template <class T>
T Hdf5Reader::require(std::string_view object, std::string_view name) const {
  const std::optional<Hdf5Value> value = attribute(object, name);
  CLS_CHECK(value.has_value(), IoError, impl_->path.string(), ": '", object, "' has no attribute '",
            name, "'");
  if constexpr (std::is_same_v<T, double>) {
    if (const auto* integer = std::get_if<std::int64_t>(&*value)) {
      return static_cast<double>(*integer);
    }
  }
  const T* const typed = std::get_if<T>(&*value);
  CLS_CHECK(typed != nullptr, IoError, impl_->path.string(), ": attribute '", name, "' of '",
            object, "' is of another kind");
  return *typed;
}

template std::int64_t Hdf5Reader::require<std::int64_t>(std::string_view, std::string_view) const;
template double Hdf5Reader::require<double>(std::string_view, std::string_view) const;
template std::string Hdf5Reader::require<std::string>(std::string_view, std::string_view) const;

}  // namespace clausius
