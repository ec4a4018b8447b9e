// SPDX-License-Identifier: Apache-2.0
// `clausius recipes list|show|schema|validate`.
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include <CLI/App.hpp>

#include "core/config_help.h"
#include "core/io/json.h"
#include "train/commands/command.h"
#include "train/recipe.h"

namespace clausius {
namespace {

// The first comment of a recipe says what it is for.
std::string first_comment(const std::filesystem::path& file) {
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line) && line.starts_with('#');) {
    const std::size_t text = line.find_first_not_of("# ");
    if (text != std::string::npos && line.find("SPDX-License-Identifier") == std::string::npos) {
      return line.substr(text);
    }
  }
  return {};
}

class RecipesCommand final : public Command {
 public:
  void declare(CLI::App& app) override {
    app.require_subcommand(1);
    list_ = app.add_subcommand("list", "the recipes that come with clausius");
    list_->add_flag("--json", json_, "for scripts");
    show_ = app.add_subcommand("show", "a recipe as it is written, or resolved to every key");
    add_recipe(*show_);
    show_->add_flag("--resolved", resolved_,
                    "every key in long form, parents and overrides merged in");
    schema_ = app.add_subcommand("schema", "every key with type, default and meaning");
    schema_->add_flag("--json", json_, "JSON Schema, for editors");
    validate_ = app.add_subcommand("validate", "check a recipe without running it");
    add_recipe(*validate_);
    validate_->add_flag("--json", json_, "for scripts");
  }

  ExitCode run() override {
    if (list_->parsed()) {
      list();
    } else if (show_->parsed()) {
      show();
    } else if (schema_->parsed()) {
      schema();
    } else {
      validate();
    }
    return ExitCode::kDone;
  }

 private:
  void add_recipe(CLI::App& app) {
    app.add_option("recipe", recipe_, "a file, or the name of a recipe that comes with clausius")
        ->required();
    app.add_option("overrides", overrides_, "key=value, as model.layers=2");
  }

  void list() const {
    Json all(Json::Array{});
    for (const auto& file : list_recipes(recipe_folder())) {
      const std::string name = file.stem().string();
      const std::string goal = first_comment(file);
      if (json_) {
        Json recipe;
        recipe.set("name", name);
        recipe.set("path", file.string());
        recipe.set("goal", goal);
        all.push(std::move(recipe));
      } else {
        std::cout << name << std::string(name.size() < 30 ? 30 - name.size() : 1, ' ') << goal
                  << '\n';
      }
    }
    if (json_) {
      std::cout << all.dump(2) << '\n';
    }
  }

  void show() const {
    const std::filesystem::path file = find_recipe(recipe_);
    if (resolved_ || !overrides_.empty()) {
      std::cout << to_yaml(load_recipe(file, overrides_));
      return;
    }
    std::ifstream stream(file);
    CLS_CHECK(stream, ConfigError, file.string(), ": cannot be read");
    std::cout << stream.rdbuf();
  }

  void schema() const {
    const std::vector<FieldSchema> fields = recipe_schema();
    if (json_) {
      std::cout << json_schema("Clausius recipe", fields).dump(2) << '\n';
      return;
    }
    std::cout << help_text(fields);
    for (const std::string& family : families_of(fields)) {
      for (const std::string_view kind : registry(family).kinds()) {
        std::cout << '\n' << help_text(family, registry(family).describe(kind));
      }
    }
  }

  // An invalid recipe is an error like any other: exit code 2.
  void validate() const {
    const std::filesystem::path file = find_recipe(recipe_);
    const Recipe recipe = load_recipe(file, overrides_);
    if (json_) {
      Json result;
      result.set("valid", true);
      Json::Array warnings(recipe.warnings.begin(), recipe.warnings.end());
      result.set("warnings", std::move(warnings));
      std::cout << result.dump() << '\n';
      return;
    }
    for (const std::string& warning : recipe.warnings) {
      std::cout << "warning: " << warning << '\n';
    }
    std::cout << file.string() << ": valid\n";
  }

  CLI::App* list_ = nullptr;
  CLI::App* show_ = nullptr;
  CLI::App* schema_ = nullptr;
  CLI::App* validate_ = nullptr;
  std::string recipe_;
  std::vector<std::string> overrides_;
  bool json_ = false;
  bool resolved_ = false;
};

CLS_COMMAND("recipes", "list, show, check recipes; print their schema", RecipesCommand);

}  // namespace
}  // namespace clausius
