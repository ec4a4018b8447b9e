// SPDX-License-Identifier: Apache-2.0
// The list of commands, and the command line.
#include "train/commands/command.h"

#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "core/config_node.h"
#include "core/device_backend.h"
#include "core/version.h"

namespace clausius {
namespace {

struct Entry {
  std::string_view name;
  std::string_view summary;
  std::unique_ptr<Command> (*make)();
};

std::vector<Entry>& entries() {
  static std::vector<Entry> list;
  return list;
}

std::string version_text() {
  std::string text = concat("clausius ", kVersion, " (commit ", kCommit, "), backends: cpu");
#ifdef CLAUSIUS_HAS_MPI
  text += ", mpi";
#endif
  text += built_with_cuda() ? ", cuda" : "";
  return text;
}

// CLI11 asks for a subcommand also where one is misspelt.
std::string usage_message(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App* reached = &app;
  std::string command = "clausius";
  while (!reached->get_subcommands().empty()) {
    reached = reached->get_subcommands().front();
    command += " " + reached->get_name();
  }
  std::vector<std::string> names;
  for (const CLI::App* sub :
       reached->get_subcommands([](const CLI::App* /*any*/) { return true; })) {
    names.push_back(sub->get_name());
  }
  const std::vector<std::string> rest = reached->remaining();
  if (!names.empty() && !rest.empty() && !rest.front().starts_with('-')) {
    const std::vector<std::string_view> known(names.begin(), names.end());
    return concat("there is no '", command, " ", rest.front(), "'",
                  suggestion(rest.front(), known));
  }
  return concat(error.what(), "; see ", command, " --help");
}

}  // namespace

detail::CommandRegistrar::CommandRegistrar(std::string_view name,
                                           std::string_view summary,
                                           std::unique_ptr<Command> (*make)()) {
  std::vector<Entry>& list = entries();
  const auto place =
      std::lower_bound(list.begin(), list.end(), name,
                       [](const Entry& e, std::string_view n) { return e.name < n; });
  CLS_CHECK(place == list.end() || place->name != name, InternalError, "two commands are called '",
            name, "'");
  list.insert(place, {name, summary, make});
}

ExitCode run_program(int argc, const char* const* argv) {
  CLI::App app("Clausius trains transformers whose attention you can trust.", "clausius");
  app.set_version_flag("--version", version_text());
  app.require_subcommand(1);
  std::vector<std::unique_ptr<Command>> commands;
  std::vector<CLI::App*> parsers;
  for (const Entry& entry : entries()) {
    commands.push_back(entry.make());
    parsers.push_back(app.add_subcommand(std::string(entry.name), std::string(entry.summary)));
    commands.back()->declare(*parsers.back());
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& done) {
    app.exit(done);
    return ExitCode::kDone;
  } catch (const CLI::ParseError& error) {
    throw ConfigError(usage_message(app, error));
  }
  const auto chosen = std::find(parsers.begin(), parsers.end(), app.get_subcommands().front());
  return commands.at(static_cast<std::size_t>(chosen - parsers.begin()))->run();
}

}  // namespace clausius
