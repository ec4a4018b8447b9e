// SPDX-License-Identifier: Apache-2.0
// The `clausius` program: runs a command, turns errors into one line and an exit code.
#include <exception>
#include <iostream>
#include <new>

#include "core/error.h"
#include "train/commands/command.h"

namespace {

int report(const char* message, clausius::ExitCode code) {
  std::cout.flush();
  std::cerr << "clausius: error: " << message << std::endl;
  return static_cast<int>(code);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return static_cast<int>(clausius::run_program(argc, argv));
  } catch (const clausius::Error& error) {
    return report(error.what(), error.exit_code());
  } catch (const std::bad_alloc&) {
    return report("out of memory", clausius::ExitCode::kInternal);
  } catch (const std::exception& error) {
    return report(error.what(), clausius::ExitCode::kInternal);
  }
}
