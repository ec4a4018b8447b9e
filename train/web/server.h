// SPDX-License-Identifier: Apache-2.0
// The monitor's HTTP server: a thread that follows the runs, threads that answer, and streams that tell of changes.
#pragma once

#include <memory>
#include <string>

#include "train/web/run_set.h"

namespace clausius::web {

struct ServerOptions {
  std::string bind = "127.0.0.1";
  int port = 0;  // 0: any that is free
};

/// Answers as web::answer does; GET /events is a stream of server-sent events, `change` whenever a run has changed.
class MonitorServer {
 public:
  /// Listens at once. Errors: ConfigError when the address cannot be had.
  MonitorServer(RunSet& runs, ServerOptions options);
  /// Ends the streams, lets answers under way finish, and returns when all threads have ended.
  ~MonitorServer();
  MonitorServer(const MonitorServer&) = delete;
  MonitorServer& operator=(const MonitorServer&) = delete;

  [[nodiscard]] int port() const;
  /// http://..
  [[nodiscard]] std::string url() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace clausius::web
