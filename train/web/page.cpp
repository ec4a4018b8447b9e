// SPDX-License-Identifier: Apache-2.0
// The report: the page with its style, script and data inside.
#include "train/web/page.h"

#include "core/error.h"

namespace clausius::web {
namespace {

// Without a network, and only what is inside.
constexpr std::string_view kPolicy =
    R"(<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:">)";

void replace(std::string& page, std::string_view link, const std::string& content) {
  const std::size_t place = page.find(link);
  CLS_CHECK(place != std::string::npos, InternalError, "the page has no ", link);
  page.replace(place, link.size(), content);
}

// Inside a script element the parser of HTML sees `</script` and `<!--` even in a string.
std::string harmless_in_html(const std::string& json) {
  std::string text;
  text.reserve(json.size());
  for (const char c : json) {
    if (c == '<') {
      text += "\\u003c";
    } else {
      text += c;
    }
  }
  return text;
}

}  // namespace

std::string report_page(const Json& data) {
  std::string page(page_html());
  replace(page, "<meta charset=\"utf-8\">", concat("<meta charset=\"utf-8\">\n", kPolicy));
  replace(page, "<link rel=\"stylesheet\" href=\"page.css\">",
          concat("<style>\n", page_css(), "</style>"));
  replace(page, "<script src=\"page.js\" defer></script>", "");
  replace(page, "</body>",
          concat("<script type=\"application/json\" id=\"data\">", harmless_in_html(data.dump()),
                 "</script>\n<script>\n", page_js(), "</script>\n</body>"));
  return page;
}

}  // namespace clausius::web
