// SPDX-License-Identifier: Apache-2.0
// `clausius help layer|op|recipe NAME`: reference pages from the declarations.
#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

#include <CLI/App.hpp>

#include "core/config_help.h"
#include "core/kernel_table.h"
#include "core/registry.h"
#include "train/commands/command.h"
#include "train/recipe.h"

namespace clausius {
namespace {

// Kinds of every registry by that name; a name may stand in several (rms_norm as norm and as qk_norm).
void help_layer(const std::string& name) {
  std::vector<std::string_view> known;
  bool found = false;
  for (const RegistryBase* family : registries()) {
    for (const std::string_view kind : family->kinds()) {
      known.push_back(kind);
      if (kind == name) {
        std::cout << (found ? "\n" : "")
                  << help_text(std::string(family->family()), family->describe(kind));
        found = true;
      }
    }
  }
  std::sort(known.begin(), known.end());
  known.erase(std::unique(known.begin(), known.end()), known.end());
  CLS_CHECK(found, ConfigError, "nothing is called '", name, "'", suggestion(name, known));
}

void help_op(const std::string& name) {
  std::vector<std::string_view> known;
  bool found = false;
  for (const KernelTableBase* table : kernel_tables()) {
    known.push_back(table->op());
    if (table->op() == name || table->op() == name + "_forward" ||
        table->op() == name + "_backward") {
      found = true;
      std::cout << table->op() << "\n  cpu reference: f64, f32\n";
      for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
        std::cout << "  cpu kernel " << dtype << ": "
                  << (table->has(DeviceKind::kCpu, dtype) ? "yes" : "the reference") << '\n';
      }
    }
  }
  std::sort(known.begin(), known.end());
  CLS_CHECK(found, ConfigError, "no op is called '", name, "'", suggestion(name, known));
}

// The keys below a dotted key, or all of them.
void help_recipe(const std::string& key) {
  std::vector<FieldSchema> fields = recipe_schema();
  std::string rest = key;
  while (!rest.empty()) {
    const std::size_t dot = std::min(rest.find('.'), rest.size());
    const std::string step = rest.substr(0, dot);
    const auto field = std::find_if(fields.begin(), fields.end(),
                                    [&](const FieldSchema& f) { return f.key == step; });
    std::vector<std::string_view> known;
    known.reserve(fields.size());
    for (const FieldSchema& candidate : fields) {
      known.push_back(candidate.key);
    }
    CLS_CHECK(field != fields.end(), ConfigError, "no key '", step, "' in '", key, "'",
              suggestion(step, known));
    rest.erase(0, dot + 1);
    std::vector<FieldSchema> found{*field};
    if (!rest.empty()) {
      found = keys_below(field->type);
    }
    fields = std::move(found);
  }
  std::cout << help_text(fields);
  for (const std::string& family : families_of(fields)) {
    for (const std::string_view kind : registry(family).kinds()) {
      std::cout << '\n' << help_text(family, registry(family).describe(kind));
    }
  }
}

class HelpCommand final : public Command {
 public:
  void declare(CLI::App& app) override {
    app.require_subcommand(0, 1);
    program_ = app.get_parent();
    layer_ = app.add_subcommand(
        "layer", "a mixer, norm, feed-forward, position, optimizer, schedule, data kind, ..");
    layer_->add_option("name", name_, "as a recipe writes it, like softmax")->required();
    op_ = app.add_subcommand("op", "which kernels an op has");
    op_->add_option("name", name_, "the op's folder, like softmax")->required();
    recipe_ = app.add_subcommand("recipe", "keys of a recipe");
    recipe_->add_option("key", name_, "dotted, like train or model.mixer; all without");
  }

  ExitCode run() override {
    if (layer_->parsed()) {
      help_layer(name_);
    } else if (op_->parsed()) {
      help_op(name_);
    } else if (recipe_->parsed()) {
      help_recipe(name_);
    } else {
      std::cout << program_->help();
    }
    return ExitCode::kDone;
  }

 private:
  CLI::App* program_ = nullptr;
  CLI::App* layer_ = nullptr;
  CLI::App* op_ = nullptr;
  CLI::App* recipe_ = nullptr;
  std::string name_;
};

CLS_COMMAND("help", "reference pages: help layer|op|recipe NAME", HelpCommand);

}  // namespace
}  // namespace clausius
