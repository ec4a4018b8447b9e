// SPDX-License-Identifier: Apache-2.0
// `clausius plan`: what a recipe takes, before anything runs.
#include "train/plan.h"

#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

#include <CLI/App.hpp>

#include "core/parallel.h"
#include "train/commands/command.h"
#include "train/machine.h"

namespace clausius {
namespace {

class PlanCommand final : public Command {
 public:
  void declare(CLI::App& app) override {
    app.add_option("recipe", recipe_, "a recipe file, or the name of one that comes with clausius")
        ->required();
    app.add_option("overrides", overrides_, "key=value, as model.layers=24 train.recompute=block");
    app.add_option("-n,--ranks", ranks_,
                   "ranks that share a step, all on this machine; with --machine a device each")
        ->capture_default_str();
    std::string names;
    for (const MachineProfile& profile : machine_profiles()) {
      names += concat(names.empty() ? "" : ", ", profile.name);
    }
    app.add_option("--machine", machine_,
                   concat("plan for such devices, by their published figures: ", names));
    app.add_flag("--json", json_, "one object, for scripts");
  }

  ExitCode run() override {
    CLS_CHECK(ranks_ >= 1, ConfigError, "-n ", ranks_, "; expected 1 or more");
    const MachineProfile* profile = machine_.empty() ? nullptr : &find_machine_profile(machine_);
    if (profile != nullptr) {
      CLS_CHECK(std::none_of(overrides_.begin(), overrides_.end(),
                             [](const auto& text) { return text.starts_with("device="); }),
                ConfigError, "--machine ", machine_,
                " says what the run computes on; leave device out");
      // Whatever the recipe says, and whether this machine has such a device or not.
      overrides_.emplace_back("device=auto");
    }
    const Recipe recipe = load_recipe(find_recipe(recipe_), overrides_);
    const int cores = std::max(1, available_cores() / ranks_);
    const TrainingPlan plan = make_training_plan(recipe, ranks_, cores, profile);
    set_num_threads(plan.run.threads);
    const Dtype compute = recipe.model_context().compute;
    const double peak =
        profile != nullptr ? profile->flops(compute) : measure_gemm_peak(compute, plan.device);
    if (json_) {
      std::cout << to_json(plan, peak).dump() << '\n';
    } else {
      std::cout << to_text(plan, peak);
    }
    return ExitCode::kDone;
  }

 private:
  std::string recipe_;
  std::vector<std::string> overrides_;
  std::string machine_;
  int ranks_ = 1;
  bool json_ = false;
};

CLS_COMMAND("plan",
            "parameters, memory, arithmetic and least time of a recipe, before it runs",
            PlanCommand);

}  // namespace
}  // namespace clausius
