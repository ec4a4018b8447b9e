// SPDX-License-Identifier: Apache-2.0
// Preloaded into a test program: counts the calls that change files, and kills the process at one of them.
#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

namespace {

std::atomic<bool> armed{false};
std::atomic<long> calls{0};
std::atomic<long> kill_at{0};
std::atomic<bool> tear{false};

template <class Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

// True at the chosen call.
bool is_the_one() {
  return armed && ++calls == kill_at;
}

[[noreturn]] void end() {
  ::kill(::getpid(), SIGKILL);
  while (true) {
    ::pause();
  }
}

void end_if_chosen() {
  if (is_the_one()) {
    end();
  }
}

// Standard streams are how the program reports.
bool is_file(int fd) {
  return fd > STDERR_FILENO;
}

}  // namespace

extern "C" {

// From now on file calls count from 1; the process dies before number `at` (0: never), or half-way through it if
// that is a write and `torn` is set.
void cls_fault_arm(long at, int torn) {
  kill_at = at;
  tear = torn != 0;
  calls = 0;
  armed = true;
}

long cls_fault_count() {
  return calls;
}

ssize_t write(int fd, const void* data, std::size_t size) {
  static const auto real = next<ssize_t (*)(int, const void*, std::size_t)>("write");
  if (is_file(fd) && is_the_one()) {
    if (tear) {
      real(fd, data, size / 2);
    }
    end();
  }
  return real(fd, data, size);
}

ssize_t pwrite(int fd, const void* data, std::size_t size, off_t offset) {
  static const auto real = next<ssize_t (*)(int, const void*, std::size_t, off_t)>("pwrite");
  if (is_the_one()) {
    if (tear) {
      real(fd, data, size / 2, offset);
    }
    end();
  }
  return real(fd, data, size, offset);
}

ssize_t pwrite64(int fd, const void* data, std::size_t size, off64_t offset) {
  static const auto real = next<ssize_t (*)(int, const void*, std::size_t, off64_t)>("pwrite64");
  if (is_the_one()) {
    if (tear) {
      real(fd, data, size / 2, offset);
    }
    end();
  }
  return real(fd, data, size, offset);
}

int fsync(int fd) {
  end_if_chosen();
  static const auto real = next<int (*)(int)>("fsync");
  return real(fd);
}

int ftruncate(int fd, off_t size) {
  end_if_chosen();
  static const auto real = next<int (*)(int, off_t)>("ftruncate");
  return real(fd, size);
}

int ftruncate64(int fd, off64_t size) {
  end_if_chosen();
  static const auto real = next<int (*)(int, off64_t)>("ftruncate64");
  return real(fd, size);
}

int rename(const char* from, const char* to) {
  end_if_chosen();
  static const auto real = next<int (*)(const char*, const char*)>("rename");
  return real(from, to);
}

int unlink(const char* path) {
  end_if_chosen();
  static const auto real = next<int (*)(const char*)>("unlink");
  return real(path);
}

int remove(const char* path) {
  end_if_chosen();
  static const auto real = next<int (*)(const char*)>("remove");
  return real(path);
}

}  // extern "C"
