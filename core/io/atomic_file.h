// SPDX-License-Identifier: Apache-2.0
// Files that appear whole or not at all: written under a temporary name, synced, renamed.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

namespace clausius {

/// A file in the making. Content goes to `temporary()`, in the target's directory; `commit()` puts
/// it in the target's place. Without commit the target stays as it was: the destructor removes the
/// temporary, and one left behind by a killed process is recognised by its name
/// (`TARGET.HOST.PID.START.N.tmp`), never mistaken for a file, and removed by
/// remove_stale_temporaries.
class AtomicFile {
 public:
  /// Writes nothing yet. Errors: IoError when the directory of `target` does not exist.
  explicit AtomicFile(std::filesystem::path target);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  [[nodiscard]] const std::filesystem::path& target() const { return target_; }
  [[nodiscard]] const std::filesystem::path& temporary() const { return temporary_; }

  /// Syncs the temporary, renames it to the target and syncs the directory. Whoever wrote it has
  /// closed it by now. Errors: IoError naming the file; the temporary is removed by the destructor.
  void commit();

 private:
  std::filesystem::path target_;
  std::filesystem::path temporary_;
  bool committed_ = false;
};

/// Replaces `path` by `content`, atomically and durably. Errors: IoError.
void write_file_atomically(const std::filesystem::path& path, std::string_view content);

/// True for the names of AtomicFile's temporaries.
[[nodiscard]] bool is_temporary(const std::filesystem::path& path);

/// Removes the temporaries in `directory` whose process has ended; those of other hosts stay.
/// Returns what it removed.
std::vector<std::filesystem::path> remove_stale_temporaries(const std::filesystem::path& directory);

}  // namespace clausius
