// SPDX-License-Identifier: Apache-2.0
// Sweep files: which cells they make, what each of them trains, and what is refused at which place.
#include "train/sweep/sweep_plan.h"

#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/paths.h"
#include "tests/support/temporary_directory.h"

namespace clausius {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kRecipe = R"(
data: {kind: task, task: repeated_segment, context_length: 24, targets: all}
model: {kind: decoder_lm, layers: 2, model_dim: 16, num_heads: 2, mixer: [{kind: softmax, window: 8}, softmax]}
optimizer: {kind: adamw, lr: 1.0e-3}
train: {steps: 4, batch_samples: 2}
)";

class SweepPlanTest : public ::testing::Test {
 protected:
  SweepPlan load(const std::string& yaml, const std::vector<std::string>& overrides = {}) {
    std::ofstream(folder_ / "base.yaml") << kRecipe;
    std::ofstream(folder_ / "try_sweep.yaml") << "recipe: base.yaml\n" << yaml << "\n";
    return load_sweep(folder_ / "try_sweep.yaml", overrides);
  }
  std::string error(const std::string& yaml, const std::vector<std::string>& overrides = {}) {
    try {
      (void)load(yaml, overrides);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "no error";
  }
  static std::vector<std::string> names(const SweepPlan& plan) {
    std::vector<std::string> names;
    for (const SweepCell& cell : plan.cells) {
      names.push_back(cell.name);
    }
    return names;
  }

  test::TemporaryDirectory folder_;
};

TEST_F(SweepPlanTest, AxesAreCrossedAndTheLastIsFastest) {
  const SweepPlan plan = load(R"(
set: {train.steps: 7}
grid:
  shape: {flat: {}, deep: {model.layers: 4, model.num_heads: 4}}
  optimizer.lr: [1.0e-3, 1.0e-2]
seeds: [0, 5]
measure: [{metric: loss}]
rows: [optimizer.lr]
columns: [shape])");
  EXPECT_THAT(names(plan),
              ElementsAre("flat_lr=1.0e-3_seed=0", "flat_lr=1.0e-3_seed=5", "flat_lr=1.0e-2_seed=0",
                          "flat_lr=1.0e-2_seed=5", "deep_lr=1.0e-3_seed=0", "deep_lr=1.0e-3_seed=5",
                          "deep_lr=1.0e-2_seed=0", "deep_lr=1.0e-2_seed=5"));
  const Recipe& last = *plan.cells.back().recipe;
  EXPECT_EQ(last.seed, 5);
  EXPECT_EQ(last.name, "deep_lr=1.0e-2_seed=5");
  EXPECT_EQ(last.train.steps, 7);
  const std::string yaml = to_yaml(last);
  EXPECT_THAT(yaml, HasSubstr("layers: 4"));
  EXPECT_THAT(yaml, HasSubstr("lr: 0.01"));
  EXPECT_THAT(plan.rows, ElementsAre(1));
  EXPECT_THAT(plan.columns, ElementsAre(0));
  EXPECT_THAT(plan.average, ElementsAre(2));
  EXPECT_EQ(plan.config.name, "try_sweep");
  EXPECT_EQ(plan.config.measure.front().label(), "loss");
  EXPECT_THAT(plan.warnings, IsEmpty());
}

TEST_F(SweepPlanTest, WithoutGridAndSeedsThereIsOneCell) {
  const SweepPlan plan = load("measure: [{metric: loss}]");
  EXPECT_THAT(names(plan), ElementsAre("run"));
  EXPECT_EQ(plan.cells.front().recipe->seed, 1337);
}

TEST_F(SweepPlanTest, AxesNamedNowhereAreRows) {
  const SweepPlan plan = load(R"(
grid: {train.steps: [1, 2], optimizer.lr: [1.0e-3], model.model_dim: [8, 16]}
seeds: [1]
average: [seed, optimizer.lr]
measure: [{metric: loss}]
columns: [model.model_dim])");
  EXPECT_THAT(plan.rows, ElementsAre(0));
  EXPECT_THAT(plan.columns, ElementsAre(2));
  EXPECT_THAT(plan.average, ElementsAre(3, 1));
}

// Seeds may be the rows; the default of average gives way.
TEST_F(SweepPlanTest, SeedsMayBeRows) {
  const SweepPlan plan = load("seeds: [1, 2]\nmeasure: [{metric: loss}]\nrows: [seed]");
  EXPECT_THAT(plan.rows, ElementsAre(0));
  EXPECT_THAT(plan.average, IsEmpty());
}

TEST_F(SweepPlanTest, ExcludedCellsAreLeftOut) {
  const SweepPlan plan = load(R"(
grid:
  shape: {flat: {}, deep: {model.layers: 4}}
  optimizer.lr: [1.0e-3, 1.0e-2]
exclude: [{shape: deep, optimizer.lr: 1.0e-2}]
measure: [{metric: loss}])");
  EXPECT_THAT(names(plan), ElementsAre("flat_lr=1.0e-3", "flat_lr=1.0e-2", "deep_lr=1.0e-3"));
}

// Whole maps, lists and entries of lists, as on a command line; equal last words are told apart.
TEST_F(SweepPlanTest, ValuesAreWhatRecipesTake) {
  const SweepPlan plan = load(R"(
grid:
  model.mixer.0.window: [4, null]
  model.norm: [none, {kind: rms_norm, place: post}]
  optimizer.weight_decay: [0.0]
measure: [{metric: loss}])");
  EXPECT_THAT(names(plan),
              ElementsAre("window=4_norm=none_weight_decay=0.0",
                          "window=4_norm=-kind-rms_norm-place-post-_weight_decay=0.0",
                          "window=null_norm=none_weight_decay=0.0",
                          "window=null_norm=-kind-rms_norm-place-post-_weight_decay=0.0"));
  EXPECT_THAT(to_yaml(*plan.cells[1].recipe), HasSubstr("window: 4"));
  EXPECT_THAT(to_yaml(*plan.cells[1].recipe), HasSubstr("place: post"));
  EXPECT_EQ(plan.axes[1].values[1].label, "{kind: rms_norm, place: post}");
  const SweepPlan alike = load(R"(
grid: {model.init.std: [0.01], model.mixer.0.window: [4], model.mixer.1.window: [5]}
measure: [{metric: loss}])");
  EXPECT_THAT(names(alike), ElementsAre("std=0.01_model.mixer.0.window=4_model.mixer.1.window=5"));
}

TEST_F(SweepPlanTest, TheGridGoesOverSetAndTheCommandLineOverBoth) {
  const std::string yaml = R"(
set: {train.steps: 7, train.batch_samples: 3}
grid: {train.steps: [8]}
measure: [{metric: loss}])";
  EXPECT_EQ(load(yaml).cells.front().recipe->train.steps, 8);
  const SweepPlan plan = load(yaml, {"train.batch_samples=5"});
  EXPECT_EQ(plan.cells.front().recipe->train.batch_samples, 5);
}

TEST_F(SweepPlanTest, EqualCellsAreToldOf) {
  const SweepPlan plan = load(R"(
grid: {shape: {a: {model.layers: 2}, b: {}}}
measure: [{metric: loss}])");
  EXPECT_THAT(plan.warnings, ElementsAre("cells a and b are the same run"));
}

TEST_F(SweepPlanTest, PathsStartAtTheSweep) {
  const SweepPlan plan = load(R"(
set: {data: {kind: text, train: texts/a.txt, context_length: 24}}
measure: [{metric: loss}])");
  EXPECT_THAT(to_yaml(*plan.cells.front().recipe), HasSubstr((folder_ / "texts/a.txt").string()));
}

TEST_F(SweepPlanTest, AnotherSweepMayBeExtended) {
  (void)load("seeds: [3]\ngrid: {optimizer.lr: [1.0e-3]}\nmeasure: [{metric: loss}]");
  std::ofstream(folder_ / "child_sweep.yaml")
      << "extends: try_sweep.yaml\ngrid: {train.steps: [1, 2]}\n";
  EXPECT_EQ(load_sweep(folder_ / "child_sweep.yaml").cells.size(), 2U);
}

TEST_F(SweepPlanTest, EvaluationsAreArguments) {
  std::ofstream(folder_ / "step.h5") << "";
  std::ofstream(folder_ / "e_sweep.yaml") << R"(checkpoint: step.h5
command: eval
set: {evaluate.samples: 8}
grid: {model.mixer: [softmax, {kind: softmax, window: 4}], precision: [f32, bf16]}
measure: [{metric: val_loss}]
)";
  const SweepPlan plan = load_sweep(folder_ / "e_sweep.yaml", {"parallel.threads=1"});
  ASSERT_EQ(plan.cells.size(), 4U);
  EXPECT_THAT(plan.cells[3].arguments,
              ElementsAre("evaluate.samples=8", "model.mixer={kind: softmax, window: 4}",
                          "parallel.threads=1", "precision=bf16"));
  EXPECT_FALSE(plan.cells[3].recipe);
}

TEST_F(SweepPlanTest, MistakesAreNamedWithTheirPlace) {
  const std::string measure = "measure: [{metric: loss}]\n";
  EXPECT_THAT(error("grid: {optimizer.lr: [1.0e-3]}"), HasSubstr("measure"));
  EXPECT_THAT(error(measure + "grid: {optimizer.lr: 1.0e-3}"),
              HasSubstr("try_sweep.yaml:3:8: key 'grid.optimizer.lr': expected a list"));
  EXPECT_THAT(error(measure + "grid: {shape: {deep: 4}}"),
              HasSubstr("try_sweep.yaml:3:16: key 'grid.shape.deep': expected a map of dotted"));
  EXPECT_THAT(error(measure + "grid: {seed: [1]}"),
              HasSubstr("the axis of seeds is the key `seeds`"));
  EXPECT_THAT(error(measure + "seeds: [1, 1]"),
              HasSubstr("try_sweep.yaml:3:12: key 'seeds.1': seed 1 is there twice"));
  EXPECT_THAT(error(measure + "seeds: []"), HasSubstr("expected at least one seed"));
  EXPECT_THAT(error(measure + "grid: {optimizer.lr: [1.0e-3, 1.0e-3]}"),
              HasSubstr("this axis has the value 1.0e-3 twice"));
  EXPECT_THAT(error(measure + "grid: {optimizer.lr: [1.0e-3]}\nrows: [optimizer.lx]"),
              HasSubstr("try_sweep.yaml:4:8: key 'rows.0': no axis is called 'optimizer.lx'; did "
                        "you mean 'optimizer.lr'?"));
  EXPECT_THAT(error(measure + "rows: [seed]\naverage: [seed]"),
              HasSubstr("axis 'seed' stands in rows already"));
  EXPECT_THAT(error(measure + "grid: {optimizer.lr: [1.0e-3]}\nexclude: [{optimizer.lr: 3}]"),
              HasSubstr("axis 'optimizer.lr' has no value 3"));
  EXPECT_THAT(error(measure + "grid: {optimizer.lr: [1.0e-3]}\nexclude: [{optimizer.lr: 1.0e-3}]"),
              HasSubstr("every cell of this sweep is excluded"));
  EXPECT_THAT(error(measure + "gird: {}"), HasSubstr("did you mean 'grid'?"));
  EXPECT_THAT(error("measure: [{metric: loss, take: first_step}]"),
              HasSubstr("first_step needs above or below"));
  EXPECT_THAT(error("measure: [{metric: loss, above: 3}]"),
              HasSubstr("a limit is of take: first_step alone, not of last"));
  EXPECT_THAT(error("measure: [{metric: loss}, {metric: loss, take: max}]"),
              HasSubstr("two measures are called 'loss'"));
  EXPECT_THAT(error("measure: [{metric: loss, last: 2 epochs}]"),
              HasSubstr("metrics do not count epochs"));
  EXPECT_THAT(error(measure + "command: eval"), HasSubstr("eval needs a checkpoint"));
  EXPECT_THAT(error(measure + "checkpoint: x"),
              HasSubstr("give exactly one of recipe, checkpoint"));
}

// The recipe of a cell is wrong: the cell, and the line of the sweep that made it so.
TEST_F(SweepPlanTest, WrongRecipesNameTheCellAndTheLineOfTheSweep) {
  const std::string measure = "measure: [{metric: loss}]\n";
  EXPECT_THAT(error(measure + "grid:\n  optimizer.lr: [1.0e-3, -1.0]"),
              AllOf(HasSubstr("[cell lr=-1.0] "), HasSubstr("try_sweep.yaml:4:26: "),
                    HasSubstr("optimizer.lr")));
  EXPECT_THAT(error(measure + "set: {model.num_heads: 3}"),
              AllOf(HasSubstr("[cell run] "), HasSubstr("try_sweep.yaml:3:7: "),
                    HasSubstr("3 heads do not divide model_dim 16")));
  EXPECT_THAT(error(measure + "grid: {optimizer.lrr: [1.0]}"), HasSubstr("did you mean 'lr'?"));
  EXPECT_THAT(error(measure + "grid: {a: {x: {model.layers: 1}}, b: {y: {model.layers: 3}}}"),
              HasSubstr("this key is already given by '"));
  EXPECT_THAT(error(measure, {"train.stepz=3"}), HasSubstr("command line: train.stepz=3"));
}

TEST(Sweeps, ThoseThatComeAlongAreValid) {
  for (const std::filesystem::path& file : list_sweeps(test::source_dir() / "recipes")) {
    EXPECT_GT(load_sweep(file).cells.size(), 0U) << file;
  }
}

// A recipe that stands for a row of a sweep's table trains what that row was made with.
TEST(Sweeps, RecipesAreTheRowsTheyStandFor) {
  const auto unnamed = [](Recipe recipe) {
    recipe.name.clear();
    recipe.seed = 0;
    return to_yaml(recipe);
  };
  const auto expect_row = [&](const std::string& sweep, const std::string& cell,
                              const std::string& recipe) {
    const std::filesystem::path folder = test::source_dir() / "recipes";
    for (const SweepCell& candidate : load_sweep(folder / (sweep + ".yaml")).cells) {
      if (candidate.name == cell) {
        EXPECT_EQ(unnamed(*candidate.recipe), unnamed(load_recipe(folder / (recipe + ".yaml"))));
        return;
      }
    }
    ADD_FAILURE() << sweep << " has no cell " << cell;
  };
  for (const auto& [row, recipe] :
       std::vector<std::pair<std::string, std::string>>{{"SM+LN+G", "ln_gelu"},
                                                        {"SM+G", "gelu"},
                                                        {"SM+R", "relu"},
                                                        {"SM", "sm"},
                                                        {"SM+ScFuFFN", "scfuffn"},
                                                        {"SM-t-+ScFuFFN", "temperature"},
                                                        {"EReg-0.16", "ereg"},
                                                        {"EReg-0.02", "ereg_weak"}}) {
    expect_row("entropy_guided_sweep", row + "_seed=0", "entropy_guided_" + recipe);
  }
  expect_row("entropy_guided_text_sweep", "SM+ScFuFFN", "entropy_guided_text_scfuffn");
  expect_row("entropy_guided_text_sweep", "EReg-0.16", "entropy_guided_text");
  expect_row("stability_sweep", "post-LN_plain_lr=1.0e-2_seed=0", "plain_induction");
  expect_row("stability_sweep", "post-LN_sigma_lr=1.0e-2_seed=0", "sigma_reparam_induction");
  expect_row("stability_knobs_sweep", "post-LN_lr=1.0e-2_none_seed=0", "plain_induction");
}

}  // namespace
}  // namespace clausius
