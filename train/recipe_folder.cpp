// SPDX-License-Identifier: Apache-2.0
// Finding the recipes that come with the program.
#include <algorithm>

#include "core/error.h"
#include "train/recipe.h"

namespace clausius {

using std::filesystem::path;

namespace {

constexpr std::string_view kSweepEnding = "_sweep.yaml";

std::vector<path> list_files(const path& folder, bool sweeps) {
  std::vector<path> files;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(folder, failed)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".yaml") && name.ends_with(kSweepEnding) == sweeps) {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

path find_file(const std::string& name_or_path,
               std::string_view noun,
               const std::vector<path>& known) {
  if (std::filesystem::exists(name_or_path)) {
    return name_or_path;
  }
  std::vector<std::string> names;
  for (const path& file : known) {
    names.push_back(file.stem().string());
    if (name_or_path == names.back() || name_or_path == names.back() + ".yaml") {
      return file;
    }
  }
  const bool is_name = name_or_path.find('/') == std::string::npos;
  const std::vector<std::string_view> views(names.begin(), names.end());
  throw ConfigError(concat("there is no ", noun, " '", name_or_path,
                           "'; give a file, or the name of one that comes with clausius",
                           is_name ? suggestion(name_or_path, views) : ""));
}

}  // namespace

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
  return find_file(name_or_path, "recipe", list_recipes(recipe_folder()));
}

path find_sweep(const std::string& name_or_path) {
  return find_file(name_or_path, "sweep", list_sweeps(recipe_folder()));
}

std::vector<path> list_recipes(const path& folder) {
  return list_files(folder, false);
}

std::vector<path> list_sweeps(const path& folder) {
  return list_files(folder, true);
}

}  // namespace clausius
