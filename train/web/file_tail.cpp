// SPDX-License-Identifier: Apache-2.0
// FileTail.
#include "train/web/file_tail.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "core/io/file.h"

namespace clausius::web {
namespace {

constexpr std::size_t kRemembered = 64;

FileSignature signature(const struct stat& status) {
  return {
      .device = status.st_dev,
      .inode = status.st_ino,
      .size = status.st_size,
      .modified_ns = std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec};
}

std::string read_at(int fd,
                    std::int64_t offset,
                    std::int64_t count,
                    const std::filesystem::path& file) {
  std::string bytes(static_cast<std::size_t>(std::max<std::int64_t>(count, 0)), '\0');
  std::size_t filled = 0;
  while (filled < bytes.size()) {
    const ssize_t got = ::pread(fd, bytes.data() + filled, bytes.size() - filled,
                                offset + static_cast<std::int64_t>(filled));
    CLS_CHECK(got >= 0 || errno == EINTR, IoError, file.string(),
              ": cannot be read: ", std::strerror(errno));
    if (got == 0) {
      break;  // cut just now
    }
    filled += static_cast<std::size_t>(std::max<ssize_t>(got, 0));
  }
  bytes.resize(filled);
  return bytes;
}

// A line longer than the limit is read whole.
std::string whole_lines(int fd,
                        std::int64_t offset,
                        std::int64_t size,
                        std::int64_t limit,
                        const std::filesystem::path& file) {
  for (;; limit *= 2) {
    std::string bytes = read_at(fd, offset, std::min(limit, size - offset), file);
    const std::size_t end = bytes.rfind('\n');
    if (end != std::string::npos) {
      bytes.resize(end + 1);
      return bytes;
    }
    if (limit >= size - offset) {
      return {};
    }
  }
}

}  // namespace

std::optional<FileSignature> signature_of(const std::filesystem::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return std::nullopt;
  }
  return signature(status);
}

bool FileTail::is_continued(int fd, std::int64_t size) const {
  if (size < offset_) {
    return false;
  }
  const auto remembered = static_cast<std::int64_t>(before_.size());
  return read_at(fd, offset_ - remembered, remembered, file_) == before_;
}

FileTail::Lines FileTail::read(std::int64_t limit) {
  const std::optional<FileSignature> now = signature_of(file_);
  if (!now || *now == seen_) {
    return {};
  }
  const FileDescriptor descriptor(file_, O_RDONLY | O_CLOEXEC);
  struct stat status {};
  CLS_CHECK(::fstat(descriptor.get(), &status) == 0, IoError, file_.string(),
            ": cannot be examined: ", std::strerror(errno));
  const FileSignature opened = signature(status);
  Lines lines;
  if (offset_ > 0 && (!opened.same_file(seen_) || !is_continued(descriptor.get(), opened.size))) {
    lines.restarted = true;
    offset_ = 0;
    before_.clear();
  }
  lines.text = whole_lines(descriptor.get(), offset_, opened.size, limit, file_);
  offset_ += static_cast<std::int64_t>(lines.text.size());
  before_ += lines.text.substr(lines.text.size() - std::min(lines.text.size(), kRemembered));
  before_.erase(0, before_.size() - std::min(before_.size(), kRemembered));
  seen_ = opened;
  if (!lines.text.empty()) {
    seen_.modified_ns = -1;  // perhaps there is more
  }
  return lines;
}

std::string lines_from(const std::filesystem::path& file, std::int64_t from, std::int64_t limit) {
  const std::optional<FileSignature> now = signature_of(file);
  if (!now || from < 0 || from >= now->size) {
    return {};
  }
  const FileDescriptor descriptor(file, O_RDONLY | O_CLOEXEC);
  return whole_lines(descriptor.get(), from, now->size, limit, file);
}

}  // namespace clausius::web
