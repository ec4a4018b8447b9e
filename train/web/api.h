// SPDX-License-Identifier: Apache-2.0
// What the monitor answers: requests and answers as values, so that tests need no sockets.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "train/web/run_set.h"

namespace clausius::web {

struct WebRequest {
  std::string method = "GET";
  std::string path;  // decoded, without the query
  std::string host;  // the header
  std::map<std::string, std::string> query;
};

struct WebAnswer {
  int status = 200;
  std::string type = "application/json";
  std::string body;
  std::map<std::string, std::string> headers;
};

/// Whether a Host header names this server rather than a name that someone pointed at it (DNS rebinding): localhost, an address in numbers,
/// what --bind said, or, where the server listens beyond this machine, the machine's own name.
[[nodiscard]] bool is_own_host(std::string_view header, std::string_view bind);

/// GET and HEAD of
///   /, /page.css, /page.js          the page
///   /api/runs                       RunSet::list
///   /api/run/ID/series?samples=EPOCH,STRIDE,BINS&heads=..    RunSet::series
///   /api/run/ID/metrics?from=BYTE   whole lines of metrics.jsonl, 1 MiB at most; the header X-Next-Offset tells where to go on
///   /api/run/ID/entropy?step=STEP   all measures at the nearest logged step (without step: the last), exactly
///   /metrics                        for Prometheus
///   /healthz                        ok
/// No part of a path is ever used as the name of a file. (/events is MonitorServer's.)
/// Value:   403 for a foreign Host, 405 for other methods, 404 for other paths, 400 for queries that are no numbers, 503 when a file cannot
///          be read now.
[[nodiscard]] WebAnswer answer(const RunSet& runs,
                               const WebRequest& request,
                               std::string_view bind);

/// The headers of every answer: what a browser may do with it, which is little.
[[nodiscard]] const std::map<std::string, std::string>& common_headers();

}  // namespace clausius::web
