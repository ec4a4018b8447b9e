// SPDX-License-Identifier: Apache-2.0
// The `clausius` program: runs a command, turns errors into one line and an exit code.
#include <exception>
#include <new>
#include <string>

#include "core/comm/communicator.h"
#include "core/error.h"
#include "train/commands/command.h"

namespace {

// One rank's error is the run's error: the others are stopped too.
[[noreturn]] void end(clausius::ExitCode code, const char* message) {
  clausius::abort_all(code, std::string("clausius: error: ") + message);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return static_cast<int>(clausius::run_program(argc, argv));
  } catch (const clausius::Error& error) {
    end(error.exit_code(), error.what());
  } catch (const std::bad_alloc&) {
    end(clausius::ExitCode::kInternal, "out of memory");
  } catch (const std::exception& error) {
    end(clausius::ExitCode::kInternal, error.what());
  }
}
