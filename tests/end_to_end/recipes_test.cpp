// SPDX-License-Identifier: Apache-2.0
// The recipes that come along run.
#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/paths.h"
#include "tests/support/process.h"
#include "tests/support/temporary_directory.h"
#include "train/plan.h"
#include "train/recipe.h"

namespace clausius {
namespace {

// Two short steps on a text that is in the repository, or on the recipe's own task.
std::vector<std::string> tiny_overrides(const Recipe& recipe) {
  const std::string text = (test::source_dir() / "recipes" / "data" / "tiny.txt").string();
  std::vector<std::string> overrides = {"train.steps=2", "schedule.warmup=1", "parallel.threads=1",
                                        "device=auto"};  // those for a GPU too, on it or not
  overrides.emplace_back(recipe.train.batch_samples ? "train.batch_samples=2"
                                                    : "train.batch_tokens=64");
  if (recipe.data.kind() == "task") {
    return overrides;
  }
  if (recipe.data.kind() == "text") {
    overrides.insert(overrides.end(), {"data.train=" + text, "data.context_length=32"});
  } else {
    overrides.push_back("data={kind: text, context_length: 32, train: " + text + "}");
  }
  return overrides;
}

TEST(RecipesSlow, EachTakesTwoSteps) {
  constexpr std::int64_t kLarge = 50'000'000;
  for (const std::filesystem::path& file : list_recipes(test::source_dir() / "recipes")) {
    const std::vector<std::string> overrides = tiny_overrides(load_recipe(file, {"device=auto"}));
    const test::TemporaryDirectory directory;
    const std::string run = (directory / "run").string();
    std::vector<std::string> command = {test::program(), "train", file.string(), "--run", run};
    command.insert(command.end(), overrides.begin(), overrides.end());
    const bool large = make_training_plan(load_recipe(file, overrides), 1, 1).parameters > kLarge;
    if (large) {
      command.emplace_back("--dry-run");
    }
    const test::ProcessResult result = test::run_process(command);
    EXPECT_EQ(result.exit_code, 0) << file << "\n" << result.output;
    EXPECT_EQ(std::filesystem::exists(run), !large) << "a dry run leaves nothing behind";
  }
}

}  // namespace
}  // namespace clausius
