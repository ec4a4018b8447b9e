// SPDX-License-Identifier: Apache-2.0
// `clausius sweep`: a recipe over a grid of settings and seeds, and the table of what came out.
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include <CLI/App.hpp>
#include <fmt/format.h>

#include "core/comm/launcher.h"
#include "train/commands/command.h"
#include "train/sweep/sweep_runner.h"

namespace clausius {
namespace {

class SweepCommandLine final : public Command {
 public:
  void declare(CLI::App& app) override {
    app.add_option("sweep", sweep_, "a sweep file, or the name of one that comes with clausius")
        ->required();
    app.add_option("overrides", overrides_, "key=value for every cell: train.steps=100");
    app.add_option("--run", options_.directory, "the sweep's directory (default: runs/NAME)");
    app.add_option("--jobs", options_.jobs,
                   "cells at a time; the cores are shared out between them")
        ->check(CLI::PositiveNumber);
    app.add_option("--launcher", launcher_, "what starts a cell, like 'mpirun -n 2'");
    app.add_flag("--dry-run", dry_run_, "check every cell and list them; run nothing");
    app.add_flag("--json", json_, "the results as one object, for scripts");
  }

  ExitCode run() override {
    check_alone();
    const SweepPlan plan = load_sweep(find_sweep(sweep_), overrides_);
    Log log(!json_);
    for (const std::string& warning : plan.warnings) {
      log.warn(warning);
    }
    if (dry_run_) {
      for (const SweepCell& cell : plan.cells) {
        std::cout << cell.name << '\n';
      }
      return ExitCode::kDone;
    }
    if (options_.directory.empty()) {
      options_.directory = std::filesystem::path("runs") / plan.config.name;
    }
    std::istringstream words(launcher_);
    for (std::string word; words >> word;) {
      options_.launcher.push_back(word);
    }
    SweepRunner runner(plan, options_, log);
    const ExitCode code = runner.run();
    if (json_) {
      std::cout << to_json(plan, runner.results()).dump(2) << '\n';
    } else {
      std::cout << '\n' << to_markdown(plan, runner.results());
    }
    return code;
  }

 private:
  // Cells are processes of this one; each rank would start them all.
  static void check_alone() {
    const Launcher launcher = detect_launcher();
    CLS_CHECK(
        !is_mpirun(launcher.kind) && launcher.size <= 1, ConfigError,
        "a sweep starts its cells itself; run it without mpirun or srun, and give what starts a "
        "cell with --launcher 'mpirun -n 2'");
  }

  std::string sweep_;
  std::vector<std::string> overrides_;
  std::string launcher_;
  SweepOptions options_;
  bool dry_run_ = false;
  bool json_ = false;
};

CLS_COMMAND("sweep", "run a recipe over a grid of settings and seeds", SweepCommandLine);

}  // namespace
}  // namespace clausius
