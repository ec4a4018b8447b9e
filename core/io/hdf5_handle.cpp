// SPDX-License-Identifier: Apache-2.0
// What all HDF5 sources share: errors from the library's stack, types, properties, attributes.
#include "core/io/hdf5_handle.h"

#include <array>

#include "core/checked.h"
#include "core/error.h"
#include "core/libraries.h"

namespace clausius::detail::h5 {
namespace {

std::recursive_mutex& library_mutex() {
  // Before the library's first use: all files are closed by their handles, and when one could not be (a full disk), closing it
  // again at exit would end the process with a segmentation fault instead of its exit code.
  static const herr_t no_exit_handler = H5dont_atexit();
  static_cast<void>(no_exit_handler);
  static std::recursive_mutex mutex;
  return mutex;
}

std::string hdf5_version() {
  unsigned major = 0;
  unsigned minor = 0;
  unsigned release = 0;
  const std::lock_guard lock(library_mutex());
  H5get_libversion(&major, &minor, &release);
  return concat(major, ".", minor, ".", release);
}
CLS_LIBRARY("HDF5", hdf5_version);

// HDF5 packs the system's words among descriptors, addresses and dates: where they are there, they say it all.
std::string plain(std::string_view text) {
  constexpr std::string_view kSystem = "error message = '";
  const std::size_t at = text.find(kSystem);
  if (at == std::string_view::npos) {
    return std::string(text.substr(0, text.find('\n')));
  }
  text.remove_prefix(at + kSystem.size());
  return std::string(text.substr(0, text.find('\'')));
}

struct Reasons {
  std::string first;  // of the innermost call: what really happened
  std::string last;   // of the outermost
};

// Called by the library, innermost record first; must not throw through it.
herr_t collect(unsigned /*index*/, const H5E_error2_t* record, void* context) noexcept {
  try {
    auto& reasons = *static_cast<Reasons*>(context);
    const std::string text = plain(record->desc != nullptr ? record->desc : "");
    if (reasons.first.empty()) {
      reasons.first = text;
    }
    reasons.last = text;
  } catch (...) {
    return -1;
  }
  return 0;
}

}  // namespace

std::string take_reason() {
  Reasons reasons;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, collect, &reasons);
  H5Eclear2(H5E_DEFAULT);
  if (reasons.first.empty()) {
    return "HDF5 gives no reason";
  }
  return reasons.first == reasons.last ? reasons.first : reasons.last + " (" + reasons.first + ")";
}

LibraryLock::LibraryLock() : lock_(library_mutex()) {
  // The handler is per thread in thread-safe builds of the library.
  thread_local const bool silenced = [] {
    H5open();
    return H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr) >= 0;
  }();
  static_cast<void>(silenced);
}

void close_quietly(File& file) {
  const LibraryLock lock;
  if (file.reset() < 0) {
    H5Eclear2(H5E_DEFAULT);
  }
}

void fail(const std::filesystem::path& file, std::string_view action, std::string_view object) {
  const std::string reason = take_reason();
  throw IoError(object.empty()
                    ? concat(file.string(), ": cannot ", action, ": ", reason)
                    : concat(file.string(), ": cannot ", action, " '", object, "': ", reason));
}

hid_t memory_type(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF64:
      return H5T_NATIVE_DOUBLE;
    case Dtype::kF32:
      return H5T_NATIVE_FLOAT;
    case Dtype::kBf16:
      return H5T_NATIVE_UINT16;
    case Dtype::kI64:
      return H5T_NATIVE_INT64;
    case Dtype::kI32:
      return H5T_NATIVE_INT32;
    case Dtype::kU8:
      return H5T_NATIVE_UINT8;
  }
  return H5I_INVALID_HID;
}

hid_t file_type(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF64:
      return H5T_IEEE_F64LE;
    case Dtype::kF32:
      return H5T_IEEE_F32LE;
    case Dtype::kBf16:
      return H5T_STD_U16LE;
    case Dtype::kI64:
      return H5T_STD_I64LE;
    case Dtype::kI32:
      return H5T_STD_I32LE;
    case Dtype::kU8:
      return H5T_STD_U8LE;
  }
  return H5I_INVALID_HID;
}

Properties file_access(const std::filesystem::path& path) {
  constexpr hsize_t kPage = 4096;
  auto properties = checked<Properties>(H5Pcreate(H5P_FILE_ACCESS), path, "prepare");
  const hid_t id = properties.get();
  check(H5Pset_libver_bounds(id, H5F_LIBVER_V110, H5F_LIBVER_V110), path, "choose the format");
  check(H5Pset_alignment(id, kPage, kPage), path, "choose the alignment");
  check(H5Pset_fclose_degree(id, H5F_CLOSE_STRONG), path, "choose how to close");
  check(H5Pset_file_locking(id, /*use=*/1, /*ignore where the file system has none=*/1), path,
        "choose locking");
  return properties;
}

Properties link_creation(const std::filesystem::path& path) {
  auto properties = checked<Properties>(H5Pcreate(H5P_LINK_CREATE), path, "prepare a name");
  check(H5Pset_create_intermediate_group(properties.get(), 1), path, "prepare groups");
  check(H5Pset_char_encoding(properties.get(), H5T_CSET_UTF8), path, "choose UTF-8 names");
  return properties;
}

Space dense_space(const std::filesystem::path& path, const Shape& shape) {
  if (shape.rank() == 0) {
    return checked<Space>(H5Screate(H5S_SCALAR), path, "describe a scalar");
  }
  std::array<hsize_t, kMaxRank> sizes{};
  for (int axis = 0; axis < shape.rank(); ++axis) {
    sizes[static_cast<std::size_t>(axis)] = narrow<hsize_t>(shape[axis]);
  }
  return checked<Space>(H5Screate_simple(shape.rank(), sizes.data(), nullptr), path,
                        "describe a shape");
}

Type text_type(const std::filesystem::path& path, std::size_t bytes) {
  auto type = checked<Type>(H5Tcopy(H5T_C_S1), path, "describe a text");
  check(H5Tset_size(type.get(), bytes == 0 ? 1 : bytes), path, "describe a text");
  check(H5Tset_strpad(type.get(), H5T_STR_NULLPAD), path, "describe a text");
  check(H5Tset_cset(type.get(), H5T_CSET_UTF8), path, "describe a text");
  return type;
}

void write_attribute(const std::filesystem::path& path,
                     hid_t object,
                     std::string_view object_name,
                     std::string_view name,
                     const Hdf5Value& value) {
  const std::string label = concat(object_name, "@", name);
  const auto space = checked<Space>(H5Screate(H5S_SCALAR), path, "describe attribute", label);
  const auto write = [&](hid_t stored, hid_t memory, const void* data) {
    const auto attribute =
        checked<AttributeHandle>(H5Acreate2(object, std::string(name).c_str(), stored, space.get(),
                                            H5P_DEFAULT, H5P_DEFAULT),
                                 path, "create attribute", label);
    check(H5Awrite(attribute.get(), memory, data), path, "write attribute", label);
  };
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    write(H5T_STD_I64LE, H5T_NATIVE_INT64, integer);
  } else if (const auto* number = std::get_if<double>(&value)) {
    write(H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, number);
  } else {
    const std::string& text = std::get<std::string>(value);
    const Type type = text_type(path, text.size());
    write(type.get(), type.get(), text.c_str());
  }
}

std::string read_text(const std::filesystem::path& path,
                      const Type& type,
                      std::string_view object_name,
                      const std::function<herr_t(hid_t, void*)>& read) {
  if (check(H5Tis_variable_str(type.get()), path, "examine", object_name) > 0) {
    const auto memory = checked<Type>(H5Tcopy(type.get()), path, "describe", object_name);
    char* pointer = nullptr;
    check(read(memory.get(), &pointer), path, "read", object_name);
    std::string text = pointer != nullptr ? pointer : "";
    check(H5free_memory(pointer), path, "release", object_name);
    return text;
  }
  std::string text(H5Tget_size(type.get()), '\0');
  check(read(type.get(), text.data()), path, "read", object_name);
  text.resize(text.find_last_not_of('\0') + 1);  // npos + 1 = 0: nothing but padding
  return text;
}

std::optional<Hdf5Value> read_attribute(const std::filesystem::path& path,
                                        hid_t object,
                                        std::string_view object_name,
                                        std::string_view name) {
  const std::string label = concat(object_name, "@", name);
  const std::string key(name);
  if (check(H5Aexists(object, key.c_str()), path, "examine attribute", label) == 0) {
    return std::nullopt;
  }
  const auto attribute = checked<AttributeHandle>(H5Aopen(object, key.c_str(), H5P_DEFAULT), path,
                                                  "open attribute", label);
  const auto type = checked<Type>(H5Aget_type(attribute.get()), path, "examine attribute", label);
  const auto space =
      checked<Space>(H5Aget_space(attribute.get()), path, "examine attribute", label);
  CLS_CHECK(H5Sget_simple_extent_npoints(space.get()) == 1, IoError, path.string(), ": attribute '",
            label, "' is not a single value");
  const auto read = [&](hid_t memory, void* destination) {
    return H5Aread(attribute.get(), memory, destination);
  };
  switch (H5Tget_class(type.get())) {
    case H5T_INTEGER:
    case H5T_ENUM: {
      std::int64_t value = 0;
      check(read(H5T_NATIVE_INT64, &value), path, "read attribute", label);
      return value;
    }
    case H5T_FLOAT: {
      double value = 0;
      check(read(H5T_NATIVE_DOUBLE, &value), path, "read attribute", label);
      return value;
    }
    case H5T_STRING:
      return read_text(path, type, label, read);
    default:
      throw IoError(
          concat(path.string(), ": attribute '", label, "' is neither a number nor a text"));
  }
}

}  // namespace clausius::detail::h5
