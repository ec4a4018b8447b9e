// SPDX-License-Identifier: Apache-2.0
// Routing by exact words and numbers.
#include "train/web/api.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <charconv>
#include <chrono>
#include <limits>
#include <optional>
#include <unistd.h>

#include "core/error.h"
#include "core/io/json.h"
#include "train/web/page.h"
#include "train/web/prometheus.h"

namespace clausius::web {
namespace {

constexpr std::int64_t kMostBytes = std::int64_t{1} << 20;

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

WebAnswer failure(int status, const std::string& reason) {
  Json body;
  body.set("error", reason);
  WebAnswer answer;
  answer.status = status;
  answer.body = body.dump() + "\n";
  return answer;
}

WebAnswer json_answer(const Json& body) {
  WebAnswer answer;
  answer.body = body.dump();
  return answer;
}

WebAnswer text_answer(std::string_view body, const char* type) {
  WebAnswer answer;
  answer.type = type;
  answer.body = std::string(body);
  return answer;
}

std::optional<std::int64_t> to_integer(std::string_view text) {
  std::int64_t value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = result.ec == std::errc() && result.ptr == text.data() + text.size();
  return whole ? std::optional(value) : std::nullopt;
}

// A number of the query; `otherwise` where it is not given. Throws BadQuery for anything else.
struct BadQuery {
  std::string key;
};

std::int64_t query_integer(const WebRequest& request, const char* key, std::int64_t otherwise) {
  const auto given = request.query.find(key);
  if (given == request.query.end()) {
    return otherwise;
  }
  const auto value = to_integer(given->second);
  if (!value) {
    throw BadQuery{key};
  }
  return *value;
}

// EPOCH,STRIDE,BINS; empty: nothing.
Have query_have(const WebRequest& request, const char* key) {
  const auto given = request.query.find(key);
  if (given == request.query.end() || given->second.empty()) {
    return {};
  }
  std::array<std::int64_t, 3> numbers{};
  std::string_view rest = given->second;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const std::size_t comma = i + 1 < numbers.size() ? rest.find(',') : rest.size();
    const auto value =
        comma == std::string_view::npos ? std::nullopt : to_integer(rest.substr(0, comma));
    if (!value) {
      throw BadQuery{key};
    }
    numbers.at(i) = *value;
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return {.epoch = numbers[0], .stride = numbers[1], .bins = numbers[2]};
}

WebAnswer metrics_lines(const RunFiles& files, const WebRequest& request) {
  const std::int64_t from = query_integer(request, "from", 0);
  WebAnswer answer =
      text_answer(lines_from(files.metrics(), from, kMostBytes), "application/x-ndjson");
  answer.headers["X-Next-Offset"] = std::to_string(std::max<std::int64_t>(from, 0) +
                                                   static_cast<std::int64_t>(answer.body.size()));
  return answer;
}

WebAnswer entropy_row(const RunFiles& files, const WebRequest& request) {
  const std::int64_t step =
      query_integer(request, "step", std::numeric_limits<std::int64_t>::max() / 2);
  const std::optional<HeadRow> row = nearest_row(files.entropy(), step);
  if (!row) {
    return failure(404, "no step of heads is logged yet");
  }
  Json body;
  body.set("step", row->step);
  for (const auto& [name, table] : row->tables) {
    body.set(name, to_json(table));
  }
  return json_answer(body);
}

WebAnswer run_answer(const RunSet& runs, const WebRequest& request, std::string_view rest) {
  const std::size_t slash = rest.find('/');
  const auto id = to_integer(rest.substr(0, slash));
  if (!id || *id < 0 || *id >= static_cast<std::int64_t>(runs.size()) ||
      slash == std::string_view::npos) {
    return failure(404, "there is no such run");
  }
  const auto place = static_cast<std::size_t>(*id);
  const std::string_view what = rest.substr(slash + 1);
  if (what == "series") {
    return json_answer(runs.series(place, query_have(request, "samples"),
                                   query_have(request, "heads"), seconds_now()));
  }
  if (what == "metrics") {
    return metrics_lines(runs.files(place), request);
  }
  if (what == "entropy") {
    return entropy_row(runs.files(place), request);
  }
  return failure(404, "a run has series, metrics and entropy");
}

WebAnswer route(const RunSet& runs, const WebRequest& request) {
  constexpr std::string_view kRun = "/api/run/";
  const std::string_view path = request.path;
  if (path == "/") {
    return text_answer(page_html(), "text/html; charset=utf-8");
  }
  if (path == "/page.css") {
    return text_answer(page_css(), "text/css; charset=utf-8");
  }
  if (path == "/page.js") {
    return text_answer(page_js(), "text/javascript; charset=utf-8");
  }
  if (path == "/api/runs") {
    return json_answer(runs.list(seconds_now()));
  }
  if (path.starts_with(kRun)) {
    return run_answer(runs, request, path.substr(kRun.size()));
  }
  if (path == "/metrics") {
    return text_answer(runs.prometheus(seconds_now()), kPrometheusType);
  }
  if (path == "/healthz") {
    return text_answer("ok\n", "text/plain; charset=utf-8");
  }
  return failure(404, "there is nothing here");
}

bool is_address(const std::string& text) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  return ::inet_pton(AF_INET, text.c_str(), bytes.data()) == 1 ||
         ::inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1;
}

std::string machine_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? std::string(name.data()) : "";
}

}  // namespace

bool is_own_host(std::string_view header, std::string_view bind) {
  std::string host(header);
  if (host.starts_with('[')) {
    const std::size_t end = host.find(']');
    if (end == std::string::npos) {
      return false;
    }
    host = host.substr(1, end - 1);
  } else {
    host = host.substr(0, host.find(':'));
  }
  std::transform(host.begin(), host.end(), host.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  const bool local = bind == "localhost" || bind == "::1" || bind.starts_with("127.");
  return !host.empty() && (host == "localhost" || host == bind || is_address(host) ||
                           (!local && host == machine_name()));
}

const std::map<std::string, std::string>& common_headers() {
  static const std::map<std::string, std::string> headers = {
      {"Cache-Control", "no-store"},
      {"Content-Security-Policy",
       "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src "
       "'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
      {"Cross-Origin-Resource-Policy", "same-origin"},
      {"Referrer-Policy", "no-referrer"},
      {"X-Content-Type-Options", "nosniff"}};
  return headers;
}

WebAnswer answer(const RunSet& runs, const WebRequest& request, std::string_view bind) {
  if (!is_own_host(request.host, bind)) {
    return failure(403, "the Host header names another server");
  }
  if (request.method != "GET" && request.method != "HEAD") {
    WebAnswer refused = failure(405, "this server only tells; it takes GET and HEAD");
    refused.headers["Allow"] = "GET, HEAD";
    return refused;
  }
  try {
    return route(runs, request);
  } catch (const BadQuery& bad) {
    return failure(400, "'" + bad.key + "' is not as it should be; expected integers");
  } catch (const Error& error) {  // a file that is being replaced just now
    return failure(503, error.what());
  }
}

}  // namespace clausius::web
