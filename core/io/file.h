// SPDX-License-Identifier: Apache-2.0
// Files of the system: descriptors, whole-file reads, read-only maps as tensors, and a writer of
// lines that survives kills.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/storage.h"
#include "core/tensor.h"

namespace clausius {

inline constexpr std::int64_t kWholeFile = std::numeric_limits<std::int64_t>::max();

/// An open file; closes itself. Every error is an IoError naming the path and the system's reason.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  /// open(2); close-on-exec is always set.
  FileDescriptor(const std::filesystem::path& path, int flags, unsigned mode = 0644);
  ~FileDescriptor();
  FileDescriptor(FileDescriptor&& other) noexcept;
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool is_open() const { return fd_ >= 0; }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::int64_t size() const;
  /// All of the bytes, in as many write(2) calls as the system needs (one, unless a signal or a
  /// full disk cuts in).
  void write(std::span<const std::byte> bytes);
  /// Waits until content and size are on the disk.
  void sync();
  void truncate(std::int64_t size);
  /// Reports what close(2) reports (a quota, a network file system); the destructor cannot.
  void close();

 private:
  int fd_ = -1;
  std::filesystem::path path_;
};

/// Makes the creations and renames inside a directory durable.
void sync_directory(const std::filesystem::path& directory);

/// The file's first `limit` bytes, or all when it is shorter. Errors: IoError naming the path and
/// the reason.
[[nodiscard]] std::string read_file(const std::filesystem::path& path,
                                    std::int64_t limit = kWholeFile);

/// The whole file, mapped read-only: pages load on first use and writing to them ends the process.
/// Errors: IoError naming the path and the reason.
[[nodiscard]] std::shared_ptr<Storage> map_file(const std::filesystem::path& path);

/// A tensor over a mapped file, starting at byte `offset` (a multiple of the element size);
/// read-only, as map_file. Errors: IoError when the file is too short for the shape, or `offset` is
/// not aligned.
[[nodiscard]] Tensor map_tensor(const std::filesystem::path& path,
                                std::int64_t offset,
                                const Shape& shape,
                                Dtype dtype);

/// Appends lines with one write(2) each (O_APPEND), so a kill leaves at most one torn line, the
/// last.
class LineWriter {
 public:
  enum class Existing { kReplace, kContinue };

  /// kContinue keeps the lines that are there, without a torn last one.
  LineWriter(const std::filesystem::path& path, Existing existing);

  /// `line` without its end of line. Errors: InternalError when it holds one; IoError when the
  /// system refuses.
  void write_line(std::string_view line);

 private:
  FileDescriptor file_;
};

/// Cuts the bytes behind the last end of line; returns how many. Errors: IoError.
std::int64_t truncate_torn_line(const std::filesystem::path& path);

}  // namespace clausius
