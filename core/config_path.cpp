// SPDX-License-Identifier: Apache-2.0
// Reading paths against the file that holds them, and opening globs.
#include "core/config_path.h"

#include <algorithm>
#include <glob.h>

namespace clausius {

using Path = std::filesystem::path;

bool ConfigType<Path>::fits(const ConfigNode& node) {
  return node.is_scalar() && scalar_type(node) == ScalarType::kText;
}

void ConfigType<Path>::read(const ConfigNode& node, Path& value, const Constraint& range) {
  if (!fits(node)) {
    detail::fail_type(node, describe(range));
  }
  if (node.text.empty()) {
    fail(node, "expected a path, found empty text");
  }
  if (node.text[0] == '~' || node.text[0] == '$') {
    fail(node, "'", node.text,
         "': paths know no ~ and no environment variables; write the path out");
  }
  const Path directory = node.location.source ? Path(node.location.source->directory)
                                              : std::filesystem::current_path();
  value = (directory / node.text).lexically_normal();
}

ConfigNode ConfigType<Path>::write(const Path& value) {
  return ConfigNode::word(value.string());
}

TypeSchema ConfigType<Path>::describe(const Constraint& /*range*/) {
  return type_schema(TypeSchema::Kind::kPath);
}

std::vector<Path> expand_glob(const Path& pattern) {
  if (pattern.string().find_first_of("*?[") == std::string::npos) {
    return {pattern};
  }
  glob_t matches{};
  std::vector<Path> paths;
  if (glob(pattern.c_str(), GLOB_NOSORT, nullptr, &matches) == 0) {
    paths.assign(matches.gl_pathv, matches.gl_pathv + matches.gl_pathc);
  }
  globfree(&matches);
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace clausius
