// SPDX-License-Identifier: Apache-2.0
// `clausius train`: runs a recipe, alone or as one of the ranks that mpirun started.
#include <iostream>
#include <string>
#include <vector>

#include <CLI/App.hpp>

#include "core/allocator.h"
#include "train/commands/command.h"
#include "train/commands/ranks.h"
#include "train/log.h"
#include "train/machine.h"
#include "train/plan.h"
#include "train/recipe.h"
#include "train/trainer.h"

namespace clausius {
namespace {

// Where the memory went. What cannot be planned either is left to the error itself.
void print_plan(const Recipe& recipe, const Communicator& communicator) {
  try {
    const TrainingPlan plan =
        make_training_plan(recipe, communicator.size(), communicator.cores_per_rank());
    std::cerr << to_text(plan, 0.0);
  } catch (const Error&) {
  }
}

class TrainCommand final : public Command {
 public:
  void declare(CLI::App& app) override {
    app.add_option("recipe", recipe_, "a recipe file, or the name of one that comes with clausius")
        ->required();
    app.add_option("overrides", overrides_,
                   "key=value, dotted: train.steps=100 model.mixer.0.window=256");
    app.add_option("--run", options_.directory, "the run directory (default: runs/NAME)");
    app.add_option("--resume", options_.resume, "auto, or a checkpoint file");
    app.add_option("--stop-after", options_.stop_after,
                   "write a checkpoint after this step and end; the schedule stays");
    app.add_option("--trace", options_.trace,
                   "write when gradient buckets were ready and reduced, for chrome://tracing");
    app.add_flag("--dry-run", dry_run_,
                 "do what comes before the first step, train nothing, leave nothing behind");
  }

  ExitCode run() override {
    const Recipe recipe = load_recipe(find_recipe(recipe_), overrides_);
    if (options_.directory.empty()) {
      options_.directory = std::filesystem::path("runs") / recipe.name;
    }
    const std::unique_ptr<Communicator> communicator =
        make_communicator(recipe.parallel, recipe.model_context().device);
    Log log(communicator->rank() == 0);
    for (const std::string& warning : recipe.warnings) {
      log.warn(warning);
    }
    // Past what there is the system would end the process without a word.
    allocator(kCpu).set_limit(static_cast<std::size_t>(available_memory_bytes()));
    try {
      return dry_run_ ? rehearse(recipe, *communicator, log)
                      : Trainer(recipe, options_, *communicator, log).run();
    } catch (const MemoryError&) {
      print_plan(recipe, *communicator);
      throw;
    }
  }

 private:
  ExitCode rehearse(const Recipe& recipe, Communicator& communicator, Log& log) const {
    const bool fresh = !std::filesystem::exists(options_.directory);
    Trainer(recipe, options_, communicator, log).describe();
    communicator.barrier("end of the dry run");
    if (fresh && communicator.rank() == 0) {
      std::filesystem::remove_all(options_.directory);
    }
    return ExitCode::kDone;
  }

  std::string recipe_;
  std::vector<std::string> overrides_;
  RunOptions options_;
  bool dry_run_ = false;
};

CLS_COMMAND("train", "train a recipe; under mpirun -n N data parallel", TrainCommand);

}  // namespace
}  // namespace clausius
