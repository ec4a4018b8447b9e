// SPDX-License-Identifier: Apache-2.0
// The page that `report` and `monitor` share: its parts, and the file that holds all of it.
#pragma once

#include <string>
#include <string_view>

#include "core/io/json.h"

namespace clausius::web {

/// The parts, as they stand in train/web/page/ and were put into the program at its build.
[[nodiscard]] std::string_view page_html();
[[nodiscard]] std::string_view page_css();
[[nodiscard]] std::string_view page_js();

/// One file that needs nothing else, no network either: `data` ({"runs": [RunView::document ..], "version": ..}) stands in it.
[[nodiscard]] std::string report_page(const Json& data);

}  // namespace clausius::web
