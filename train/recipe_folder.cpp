// SPDX-License-Identifier: Apache-2.0
// Finding the recipes that come with the program.
#include <algorithm>

#include "core/error.h"
#include "train/recipe.h"

namespace clausius {

using std::filesystem::path;

path recipe_folder() {
  std::error_code failed;
  const path program = std::filesystem::read_symlink("/proc/self/exe", failed);
  const path folder = program.parent_path();
  // prefix/bin/clausius; bundle/bin/clausius; source/build/<preset>/clausius and its tests one deeper.
  for (const char* candidate :
       {"../share/clausius/recipes", "../recipes", "../../recipes", "../../../recipes"}) {
    path recipes = (folder / candidate).lexically_normal();
    std::error_code missing;
    if (!failed && std::filesystem::is_directory(recipes, missing)) {
      return recipes;
    }
  }
  return {};
}

path find_recipe(const std::string& name_or_path) {
  if (std::filesystem::exists(name_or_path)) {
    return name_or_path;
  }
  const path folder = recipe_folder();
  const bool is_name = name_or_path.find('/') == std::string::npos;
  if (is_name && !folder.empty()) {
    path file = folder / (name_or_path.ends_with(".yaml") ? name_or_path : name_or_path + ".yaml");
    if (std::filesystem::exists(file)) {
      return file;
    }
  }
  std::vector<std::string> names;
  for (const path& recipe : list_recipes(folder)) {
    names.push_back(recipe.stem().string());
  }
  const std::vector<std::string_view> views(names.begin(), names.end());
  throw ConfigError(concat("there is no recipe '", name_or_path,
                           "'; give a file, or the name of one that comes with clausius",
                           is_name ? suggestion(name_or_path, views) : ""));
}

std::vector<path> list_recipes(const path& folder) {
  std::vector<path> recipes;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(folder, failed)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".yaml") && !name.ends_with("_sweep.yaml")) {
      recipes.push_back(entry.path());
    }
  }
  std::sort(recipes.begin(), recipes.end());
  return recipes;
}

}  // namespace clausius
