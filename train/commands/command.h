// SPDX-License-Identifier: Apache-2.0
// Command: one word after `clausius`. A command is one file that registers itself:
//
//   class DoctorCommand final : public Command {
//    public:
//     void declare(CLI::App& app) override { app.add_flag("--json", json_, "for scripts"); }
//     ExitCode run() override { ... }
//   };
//   CLS_COMMAND("doctor", "what this machine offers", DoctorCommand);
//
// Errors are thrown, and caught in train/main.cpp alone.
#pragma once

#include <memory>
#include <string_view>

#include "core/error.h"
#include "core/macros.h"

namespace CLI {
class App;
}

namespace clausius {

class Command {
 public:
  Command() = default;
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;
  virtual ~Command() = default;

  /// Adds the command's arguments and options to its own parser.
  virtual void declare(CLI::App& app) = 0;
  /// Runs it with what was parsed.
  [[nodiscard]] virtual ExitCode run() = 0;
};

/// Parses the command line and runs its command: the whole program but the catching of errors.
/// Value:   what the process ends with; `--help` and `--version` print and are done.
/// Errors:  ConfigError for a command line that cannot be understood; what the command throws.
[[nodiscard]] ExitCode run_program(int argc, const char* const* argv);

namespace detail {
struct CommandRegistrar {
  CommandRegistrar(std::string_view name,
                   std::string_view summary,
                   std::unique_ptr<Command> (*make)());
};
}  // namespace detail
}  // namespace clausius

#define CLS_COMMAND(name, summary, Type)                                               \
  static const ::clausius::detail::CommandRegistrar CLS_CONCAT(command_, __COUNTER__)( \
      name, summary,                                                                   \
      []() -> std::unique_ptr<::clausius::Command> { return std::make_unique<Type>(); })
