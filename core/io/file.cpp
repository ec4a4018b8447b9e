// SPDX-License-Identifier: Apache-2.0
// POSIX calls with our errors.
#include "core/io/file.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include "core/checked.h"
#include "core/error.h"

namespace clausius {
namespace {

[[noreturn]] void fail(std::string_view action, const std::filesystem::path& path, int error) {
  throw IoError(
      concat("cannot ", action, " ", path.string(), ": ", std::generic_category().message(error)));
}

void read_exactly(const FileDescriptor& file,
                  char* destination,
                  std::int64_t bytes,
                  std::int64_t offset) {
  while (bytes > 0) {
    const ssize_t got = ::pread(file.get(), destination, static_cast<std::size_t>(bytes), offset);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      fail("read", file.path(), errno);
    }
    CLS_CHECK(got > 0, IoError, "cannot read ", file.path().string(), ": it ends ", bytes,
              " bytes early");
    destination += got;
    offset += got;
    bytes -= got;
  }
}

}  // namespace

FileDescriptor::FileDescriptor(const std::filesystem::path& path, int flags, unsigned mode)
    : fd_(::open(path.c_str(), flags | O_CLOEXEC, mode)), path_(path) {
  if (fd_ < 0) {
    fail((flags & O_CREAT) != 0 ? "create" : "open", path, errno);
  }
}

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) {
    ::close(fd_);
  }
}

FileDescriptor::FileDescriptor(FileDescriptor&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(path_, other.path_);
  return *this;
}

std::int64_t FileDescriptor::size() const {
  struct stat status {};
  if (::fstat(fd_, &status) != 0) {
    fail("examine", path_, errno);
  }
  return status.st_size;
}

void FileDescriptor::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno != EINTR) {
      fail("write", path_, errno);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(std::max<ssize_t>(written, 0)));
  }
}

void FileDescriptor::sync() {
  if (::fsync(fd_) != 0) {
    fail("sync", path_, errno);
  }
}

void FileDescriptor::truncate(std::int64_t size) {
  if (::ftruncate(fd_, size) != 0) {
    fail("truncate", path_, errno);
  }
}

void FileDescriptor::close() {
  const int fd = std::exchange(fd_, -1);
  if (fd >= 0 && ::close(fd) != 0 && errno != EINTR) {
    fail("close", path_, errno);
  }
}

void sync_directory(const std::filesystem::path& directory) {
  const FileDescriptor file(directory.empty() ? "." : directory, O_RDONLY | O_DIRECTORY);
  // Some network file systems cannot sync directories and say EINVAL; their renames are durable by
  // other means.
  if (::fsync(file.get()) != 0 && errno != EINVAL) {
    fail("sync", directory, errno);
  }
}

std::string read_file(const std::filesystem::path& path, std::int64_t limit) {
  const FileDescriptor file(path, O_RDONLY);
  std::string content(static_cast<std::size_t>(std::min(limit, file.size())), '\0');
  read_exactly(file, content.data(), static_cast<std::int64_t>(content.size()), 0);
  return content;
}

std::shared_ptr<Storage> map_file(const std::filesystem::path& path) {
  const FileDescriptor file(path, O_RDONLY);
  const auto bytes = static_cast<std::size_t>(file.size());
  if (bytes == 0) {
    return std::make_shared<Storage>(nullptr, 0, kCpu, nullptr);
  }
  void* const address = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file.get(), 0);
  if (address == MAP_FAILED) {
    fail("map", path, errno);
  }
  return std::make_shared<Storage>(address, bytes, kCpu,
                                   [address, bytes] { ::munmap(address, bytes); });
}

Tensor map_tensor(const std::filesystem::path& path,
                  std::int64_t offset,
                  const Shape& shape,
                  Dtype dtype) {
  std::shared_ptr<Storage> storage = map_file(path);
  const auto element = narrow<std::int64_t>(size_of(dtype));
  CLS_CHECK(offset >= 0 && offset % element == 0, IoError, path.string(), ": offset ", offset,
            " is no multiple of the ", element, " bytes of ", dtype);
  const std::int64_t end = offset + shape.numel() * element;
  CLS_CHECK(end <= narrow<std::int64_t>(storage->bytes()), IoError, path.string(), " has ",
            storage->bytes(), " bytes; shape ", shape, " of ", dtype, " at offset ", offset,
            " needs ", end);
  return Tensor::over(std::move(storage), offset / element, shape, dtype);
}

LineWriter::LineWriter(const std::filesystem::path& path, Existing existing) {
  const int start = existing == Existing::kReplace ? O_TRUNC : 0;
  if (existing == Existing::kContinue && std::filesystem::exists(path)) {
    truncate_torn_line(path);
  }
  file_ = FileDescriptor(path, O_WRONLY | O_CREAT | O_APPEND | start);
}

void LineWriter::write_line(std::string_view line) {
  CLS_CHECK(line.find('\n') == std::string_view::npos, InternalError, file_.path().string(),
            ": a line holds an end of line");
  std::string text;
  text.reserve(line.size() + 1);
  text.append(line).push_back('\n');
  file_.write(std::as_bytes(std::span(text)));
}

std::int64_t truncate_torn_line(const std::filesystem::path& path) {
  FileDescriptor file(path, O_RDWR);
  const std::int64_t size = file.size();
  constexpr std::int64_t kBlock = 1 << 16;
  std::string block;
  std::int64_t keep = 0;
  for (std::int64_t end = size; end > 0; end -= narrow<std::int64_t>(block.size())) {
    const std::int64_t begin = std::max<std::int64_t>(0, end - kBlock);
    block.resize(static_cast<std::size_t>(end - begin));
    read_exactly(file, block.data(), end - begin, begin);
    const std::size_t newline = block.rfind('\n');
    if (newline != std::string::npos) {
      keep = begin + narrow<std::int64_t>(newline) + 1;
      break;
    }
  }
  if (keep < size) {
    file.truncate(keep);
  }
  return size - keep;
}

}  // namespace clausius
