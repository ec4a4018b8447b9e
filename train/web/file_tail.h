// SPDX-License-Identifier: Apache-2.0
// Following a text file that another process appends to, cuts, or replaces.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace clausius::web {

/// What tells whether a file is still the same one, and unchanged.
struct FileSignature {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::int64_t size = 0;
  std::int64_t modified_ns = 0;

  [[nodiscard]] bool same_file(const FileSignature& other) const {
    return device == other.device && inode == other.inode;
  }
  friend bool operator==(const FileSignature&, const FileSignature&) = default;
};

/// Nothing for what is not there, or is no plain file.
[[nodiscard]] std::optional<FileSignature> signature_of(const std::filesystem::path& file);

/// Reads whole lines as they come. A last line without an end waits for it.
class FileTail {
 public:
  explicit FileTail(std::filesystem::path file) : file_(std::move(file)) {}

  struct Lines {
    /// The file was replaced or cut since the last call: what was read before no longer counts.
    bool restarted = false;
    /// Whole lines, each with its end; empty: nothing new.
    std::string text;
  };

  /// About `limit` bytes of what is new, at least one line if there is a whole one. A file that is gone has nothing new: it may come
  /// back. Errors: IoError when the system refuses to read.
  [[nodiscard]] Lines read(std::int64_t limit = std::int64_t{8} << 20);
  /// Bytes read so far.
  [[nodiscard]] std::int64_t offset() const { return offset_; }

 private:
  [[nodiscard]] bool is_continued(int fd, std::int64_t size) const;

  std::filesystem::path file_;
  FileSignature seen_;
  std::int64_t offset_ = 0;
  std::string
      before_;  // the last bytes before offset_: a file that was cut and grew again has others there
};

/// Whole lines of `file` from byte `from` on, up to about `limit` bytes; none past the end. Errors: IoError.
[[nodiscard]] std::string lines_from(const std::filesystem::path& file,
                                     std::int64_t from,
                                     std::int64_t limit);

}  // namespace clausius::web
