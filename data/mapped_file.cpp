// SPDX-License-Identifier: Apache-2.0
// mmap with errors that name the file.
#include "data/mapped_file.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "core/error.h"

namespace clausius {

MappedFile::MappedFile(std::filesystem::path path) : path_(std::move(path)) {
  const int file = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  CLS_CHECK(file >= 0, IoError, "cannot open ", path_.native(), ": ", std::strerror(errno));
  struct stat status {};
  int failure = ::fstat(file, &status) == 0 ? 0 : errno;
  if (failure == 0 && !S_ISREG(status.st_mode)) {
    failure = S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
  }
  void* data = nullptr;
  if (failure == 0 && status.st_size > 0) {
    data =
        ::mmap(nullptr, static_cast<std::size_t>(status.st_size), PROT_READ, MAP_SHARED, file, 0);
    failure = data == MAP_FAILED ? errno : 0;
  }
  ::close(file);
  CLS_CHECK(failure == 0, IoError, "cannot read ", path_.native(), ": ", std::strerror(failure));
  data_ = static_cast<const std::byte*>(data);
  size_ = static_cast<std::size_t>(status.st_size);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) {
    ::munmap(const_cast<std::byte*>(data_), size_);
  }
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

}  // namespace clausius
