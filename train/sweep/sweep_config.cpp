// SPDX-License-Identifier: Apache-2.0
// Keys of sweep files and the rules between them.
#include "train/sweep/sweep_config.h"

#include <algorithm>

namespace clausius {

void ConfigType<RawNode>::read(const ConfigNode& node,
                               RawNode& value,
                               const Constraint& /*range*/) {
  if (!node.is_map()) {
    fail(node, "expected a map, found ", found(node));
  }
  value.node = node;
}

TypeSchema ConfigType<RawNode>::describe(const Constraint& /*range*/) {
  TypeSchema schema = type_schema(TypeSchema::Kind::kMap);
  schema.parts = {type_schema(TypeSchema::Kind::kText), type_schema(TypeSchema::Kind::kText)};
  return schema;
}

void Measure::visit(ConfigVisitor& v) {
  v.required(
      "metric", metric,
      "a key of metrics.jsonl, dotted into maps and lists: loss, aux_losses.entropy, bands.3");
  v.field("take", take,
          "what is made of its values over steps and heads; first_step: the step at which one is "
          "above or below a limit");
  v.field("last", last, "only the last part of the run", positive);
  v.field("above", above, "limit of first_step");
  v.field("below", below, "limit of first_step");
  v.derived(
      "name", name, [this] { return metric; }, "metric", "in tables");
}

void Measure::validate(const ConfigCheck& check) const {
  const bool limited = above.has_value() || below.has_value();
  check.that(!(above && below), "above", "give one of above, below");
  check.that(take != Take::kFirstStep || limited, "take", "first_step needs above or below");
  check.that(take == Take::kFirstStep || !limited, above ? "above" : "below",
             "a limit is of take: first_step alone, not of ", word_of(take));
  check.that(!last || last->unit != Duration::Unit::kEpochs, "last",
             "metrics do not count epochs; give steps, a part of the run (10%) or tokens");
}

void SweepConfig::visit(ConfigVisitor& v) {
  v.field("extends", extends, "one parent sweep; maps merge key by key, lists and scalars replace");
  v.preset("name", name, "the file's name", "names the sweep and its folder");
  v.field("recipe", recipe, "what every cell trains");
  v.field("checkpoint", checkpoint, "what every cell evaluates: a checkpoint or a run");
  v.field("command", command, "what a cell runs");
  v.field("set", set, "dotted recipe keys and their values, for all cells");
  v.field("grid", grid,
          "axes: a dotted recipe key with a list of values, or a label of your own with a map of "
          "named sets of dotted keys");
  v.field("exclude", exclude, "cells left out: those that agree with all axes of an entry");
  v.field("seeds", seeds, "the axis seed: one cell each", non_negative);
  v.field("average", average, "axes folded into mean and standard deviation");
  v.required("measure", measure, "numbers taken from each cell");
  v.field("rows", rows, "axes that are rows of the table; those named nowhere are rows too");
  v.field("columns", columns, "axes that are columns of the table");
  v.field("on_failure", on_failure, "what a cell that fails does to the others");
}

void SweepConfig::validate(const ConfigCheck& check) const {
  check.that(recipe.has_value() != checkpoint.has_value(), recipe ? "recipe" : "checkpoint",
             "give exactly one of recipe, checkpoint");
  check.that(command == SweepCommand::kEval || recipe.has_value(), "command",
             "train needs a recipe; a checkpoint is for command: eval");
  check.that(command == SweepCommand::kTrain || checkpoint.has_value(), "command",
             "eval needs a checkpoint, not a recipe");
  check.that(!measure.empty(), "measure", "expected at least one measure");
  check.that(!seeds || !seeds->empty(), "seeds", "expected at least one seed");
  std::vector<std::string> names;
  for (const Measure& one : measure) {
    check.that(std::find(names.begin(), names.end(), one.label()) == names.end(), "measure",
               "two measures are called '", one.label(), "'; give one a name");
    names.push_back(one.label());
    check.that(command == SweepCommand::kTrain || (one.take == Take::kLast && !one.last), "measure",
               "an evaluation has one value of ", one.metric, "; take and last have no meaning");
  }
}

}  // namespace clausius
