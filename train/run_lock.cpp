// SPDX-License-Identifier: Apache-2.0
// flock(2) on a file that stays: removing it would let two processes lock two files of the same name.
#include "train/run_lock.h"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <span>
#include <string>
#include <sys/file.h>
#include <system_error>
#include <unistd.h>

#include "core/error.h"

namespace clausius {

RunLock::RunLock(const std::filesystem::path& directory)
    : file_(directory / "run.lock", O_RDWR | O_CREAT) {
  if (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    if (error == EWOULDBLOCK) {
      std::string holder = read_file(file_.path());
      holder = holder.substr(0, holder.find('\n'));
      throw ConfigError(concat(directory.string(), " is in use by ",
                               holder.empty() ? "another process" : holder,
                               "; stop that run first, or choose another directory with --run"));
    }
    CLS_CHECK(error == ENOSYS || error == ENOTSUP || error == ENOLCK, IoError, "cannot lock ",
              file_.path().string(), ": ", std::generic_category().message(error));
    held_ = false;
    return;
  }
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  const std::string holder = concat("process ", ::getpid(), " on ", host.data(), '\n');
  file_.truncate(0);
  file_.write(std::as_bytes(std::span(holder)));
}

bool RunLock::is_held(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / "run.lock";
  if (!std::filesystem::exists(path)) {
    return false;
  }
  const FileDescriptor file(path, O_RDWR);
  return ::flock(file.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

}  // namespace clausius
