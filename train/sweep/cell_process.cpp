// SPDX-License-Identifier: Apache-2.0
// fork, exec, waitpid.
#include "train/sweep/cell_process.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "core/io/file.h"

namespace clausius {
namespace {

FileDescriptor open_for_append(const std::filesystem::path& path) {
  return {path, O_WRONLY | O_CREAT | O_APPEND};
}

// In the child, between fork and exec: nothing but system calls, as another thread may have held any lock.
[[noreturn]] void become(
    char* const* words, const char* directory, int output, int errors, pid_t parent) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGUSR1);
  const bool orphan = ::getppid() != parent;
  if (!orphan && ::chdir(directory) == 0 && ::dup2(output, STDOUT_FILENO) >= 0 &&
      ::dup2(errors, STDERR_FILENO) >= 0) {
    ::execvp(words[0], words);
  }
  ::_exit(127);
}

}  // namespace

CellProcess::CellProcess(const CellCommand& command) : start_(std::chrono::steady_clock::now()) {
  const FileDescriptor output = open_for_append(command.output);
  const FileDescriptor errors =
      open_for_append(command.errors.empty() ? command.output : command.errors);
  std::vector<std::string> words = command.words;
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (std::string& word : words) {
    pointers.push_back(word.data());
  }
  pointers.push_back(nullptr);
  const std::string directory = command.directory.string();
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  CLS_CHECK(pid_ >= 0, IoError, "no process for ", command.words.front(), ": ",
            std::strerror(errno));
  if (pid_ == 0) {
    become(pointers.data(), directory.c_str(), output.get(), errors.get(), parent);
  }
  ::setpgid(pid_, pid_);
}

CellProcess::~CellProcess() {
  if (!ended()) {
    stop();
    ::waitpid(pid_, nullptr, 0);
  }
}

std::optional<int> CellProcess::ended() {
  int status = 0;
  if (!status_ && ::waitpid(pid_, &status, WNOHANG) == pid_) {
    status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  return status_;
}

void CellProcess::stop() const {
  ::kill(pid_, SIGUSR1);
}

double CellProcess::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

}  // namespace clausius
