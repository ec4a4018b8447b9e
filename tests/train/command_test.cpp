// SPDX-License-Identifier: Apache-2.0
// The program as scripts see it: exit codes, one line of error, help of every command.
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/io/json.h"
#include "core/version.h"
#include "tests/support/paths.h"
#include "tests/support/process.h"
#include "tests/support/temporary_directory.h"

namespace clausius::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

ProcessResult clausius_program(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), test::program());
  return run_process(arguments);
}

constexpr const char* kGood =
    "# a test\n"
    "data: {kind: text, train: x.txt, context_length: 64}\n"
    "model: {kind: decoder_lm, layers: 2, model_dim: 32, num_heads: 4}\n"
    "optimizer: {kind: adamw, lr: 1.0e-3}\n"
    "train: {steps: 10, batch_tokens: 256}\n";

TEST(Program, PrintsItsVersion) {
  const ProcessResult result = clausius_program({"--version"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.output, StartsWith(std::string("clausius ") + kVersion + " (commit "));
  EXPECT_THAT(result.output, HasSubstr("backends: cpu"));
}

TEST(Program, EveryCommandHasHelp) {
  const ProcessResult all = clausius_program({"--help"});
  EXPECT_EQ(all.exit_code, 0);
  const std::string list = all.output.substr(all.output.find("Subcommands:\n") + 13);
  std::istringstream lines(list);
  int commands = 0;
  for (std::string line; std::getline(lines, line) && line.starts_with("  ");) {
    const std::string name = line.substr(2, line.find(' ', 2) - 2);
    const ProcessResult help = clausius_program({name, "--help"});
    EXPECT_EQ(help.exit_code, 0) << name;
    EXPECT_THAT(help.output, HasSubstr("Usage: clausius " + name));
    ++commands;
  }
  EXPECT_GE(commands, 2);
}

TEST(Program, UsageErrorsAreOneLineAndExitCode2) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> table = {
      {{}, "clausius: error: A subcommand is required; see clausius --help\n"},
      {{"recipes", "lst"},
       "clausius: error: there is no 'clausius recipes lst'; did you mean 'list'? accepted: list, "
       "show, "
       "schema, validate\n"},
      {{"recipes", "list", "--x"},
       "clausius: error: The following argument was not expected: --x; see clausius recipes list "
       "--help\n"},
      {{"recipes", "validate"},
       "clausius: error: recipe is required; see clausius recipes validate --help\n"},
      {{"recipes", "validate", "no/such.yaml"},
       "clausius: error: there is no recipe 'no/such.yaml'; give a file, or the name of one that "
       "comes with clausius\n"},
      {{"help", "recipe", "trian"},
       "clausius: error: no key 'trian' in 'trian'; did you mean 'train'? accepted: "},
      {{"help", "layer", "rms_nrm"},
       "clausius: error: nothing is called 'rms_nrm'; did you mean 'rms_norm'? accepted: "},
  };
  for (const auto& [arguments, output] : table) {
    const ProcessResult result = clausius_program(arguments);
    EXPECT_EQ(result.exit_code, 2) << output;
    EXPECT_THAT(result.output, StartsWith(output));
    EXPECT_EQ(std::count(result.output.begin(), result.output.end(), '\n'), 1);
  }
}

TEST(Program, ValidatesAndResolvesRecipes) {
  const TemporaryDirectory folder;
  const std::string file = folder / "r.yaml";
  std::ofstream(file) << kGood;
  const ProcessResult good = clausius_program({"recipes", "validate", file, "--json"});
  EXPECT_EQ(good.exit_code, 0);
  EXPECT_EQ(good.output, "{\"valid\":true,\"warnings\":[]}\n");
  const ProcessResult bad = clausius_program({"recipes", "validate", file, "model.layers=x"});
  EXPECT_EQ(bad.exit_code, 2);
  EXPECT_EQ(bad.output,
            "clausius: error: command line: model.layers=x: key 'model.layers': expected an "
            "integer >= 1, found 'x'\n");
  EXPECT_EQ(clausius_program({"recipes", "show", file}).output, kGood);
  const ProcessResult resolved = clausius_program({"recipes", "show", file, "model.layers=3"});
  EXPECT_THAT(resolved.output, HasSubstr("  layers: 3\n"));
  EXPECT_THAT(resolved.output,
              HasSubstr("  train:\n    - path: " + (folder / "x.txt").string() + "\n"));
  const std::string again = folder / "again.yaml";
  std::ofstream(again) << resolved.output;
  EXPECT_EQ(clausius_program({"recipes", "show", again, "--resolved"}).output, resolved.output);
}

TEST(Program, PrintsSchemaAndReferencePages) {
  const ProcessResult schema = clausius_program({"recipes", "schema", "--json"});
  EXPECT_EQ(schema.exit_code, 0);
  const Json parsed = Json::parse(schema.output, "schema");
  EXPECT_EQ(parsed.at("properties").at("seed").at("default").integer(), 1337);
  EXPECT_NE(parsed.at("$defs").find("mixer"), nullptr);
  EXPECT_THAT(clausius_program({"recipes", "schema"}).output, HasSubstr("\nmixer softmax\n"));
  EXPECT_THAT(clausius_program({"help", "layer", "rms_norm"}).output,
              StartsWith("norm rms_norm\n"));
  EXPECT_THAT(clausius_program({"help", "recipe", "train.steps"}).output,
              StartsWith("steps: int 1+? = null"));
  EXPECT_THAT(clausius_program({"help"}).output, HasSubstr("Usage: clausius "));
}

TEST(Program, ListsTheRecipesThatComeAlong) {
  const Json list = Json::parse(clausius_program({"recipes", "list", "--json"}).output, "list");
  for (const Json& recipe : list.array()) {
    EXPECT_FALSE(recipe.at("goal").text().empty()) << recipe.dump();
    EXPECT_EQ(clausius_program({"recipes", "show", recipe.at("name").text()}).exit_code, 0);
  }
}

}  // namespace
}  // namespace clausius::test
