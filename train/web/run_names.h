// SPDX-License-Identifier: Apache-2.0
// What runs are called on the page.
#pragma once

#include <string>
#include <vector>

namespace clausius::web {

/// The last part of each directory's path, with as many parts before it as make all names differ; equal paths are numbered.
[[nodiscard]] std::vector<std::string> run_names(const std::vector<std::string>& directories);

}  // namespace clausius::web
