// SPDX-License-Identifier: Apache-2.0
// fork, exec, poll, wait.
#include "tests/support/process.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"

namespace clausius::test {
namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void execute(std::vector<std::string> command, const Environment& added) {
  for (const auto& [name, value] : added) {
    ::setenv(name.c_str(), value.c_str(), 1);
  }
  std::vector<char*> arguments;
  for (std::string& argument : command) {
    arguments.push_back(argument.data());
  }
  arguments.push_back(nullptr);
  ::execvp(arguments[0], arguments.data());
  ::_exit(127);
}

}  // namespace

Process::Process(const std::vector<std::string>& command, const Environment& added)
    : start_(Clock::now()) {
  std::array<int, 2> ends{};
  CLS_CHECK(::pipe2(ends.data(), O_CLOEXEC) == 0, IoError, "no pipe for ", command.front());
  pid_ = ::fork();
  CLS_CHECK(pid_ >= 0, IoError, "cannot fork for ", command.front());
  if (pid_ == 0) {
    ::setpgid(0, 0);
    ::dup2(ends[1], STDOUT_FILENO);
    ::dup2(ends[1], STDERR_FILENO);
    execute(command, added);
  }
  ::setpgid(pid_, pid_);
  ::close(ends[1]);
  output_ = ends[0];
}

Process::~Process() {
  if (!ended_) {
    wait(std::chrono::milliseconds(0));
  }
  ::close(output_);
}

void Process::send(int signal) const {
  ::kill(pid_, signal);
}

bool Process::read_some(Clock::time_point deadline) {
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
  pollfd poll_output{.fd = output_, .events = POLLIN, .revents = 0};
  if (::poll(&poll_output, 1, static_cast<int>(std::max<std::int64_t>(left, 0))) <= 0) {
    return false;
  }
  std::array<char, 4096> block{};
  const ssize_t got = ::read(output_, block.data(), block.size());
  if (got <= 0) {
    return false;
  }
  result_.output.append(block.data(), static_cast<std::size_t>(got));
  return true;
}

bool Process::wait_for_output(const std::string& text, std::chrono::milliseconds limit) {
  const auto deadline = Clock::now() + limit;
  while (result_.output.find(text) == std::string::npos) {
    if (!read_some(deadline)) {
      return false;
    }
  }
  return true;
}

ProcessResult Process::wait(std::chrono::milliseconds limit) {
  const auto deadline = Clock::now() + limit;
  while (read_some(deadline)) {
  }
  int status = 0;
  while (::waitpid(pid_, &status, WNOHANG) == 0) {
    if (Clock::now() >= deadline && !result_.timed_out) {
      result_.timed_out = true;
      ::kill(-pid_, SIGKILL);
    }
    ::poll(nullptr, 0, 5);
  }
  ended_ = true;
  result_.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result_.duration = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start_);
  return result_;
}

ProcessResult run_process(const std::vector<std::string>& command,
                          const Environment& added,
                          std::chrono::milliseconds limit) {
  Process process(command, added);
  return process.wait(limit);
}

}  // namespace clausius::test
