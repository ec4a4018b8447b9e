// SPDX-License-Identifier: Apache-2.0
// `clausius monitor`: runs as a page that follows them.
#include <csignal>
#include <iostream>
#include <string>
#include <vector>

#include <CLI/App.hpp>

#include "train/commands/command.h"
#include "train/web/server.h"

namespace clausius {
namespace {

constexpr int kPort = 8750;

// Blocks the signals that end the monitor, here and in the threads that start from now on, and waits for one.
class EndSignals {
 public:
  EndSignals() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGINT);
    sigaddset(&set_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  }

  void wait() const {
    int signal = 0;
    sigwait(&set_, &signal);
  }

 private:
  sigset_t set_{};
};

bool is_loopback(const std::string& bind) {
  return bind == "localhost" || bind == "::1" || bind.starts_with("127.");
}

class MonitorCommand final : public Command {
 public:
  void declare(CLI::App& app) override {
    app.add_option("runs", runs_,
                   "run directories, also of runs that have ended or are yet to start; several are "
                   "laid over one another")
        ->required();
    app.add_option("--port", port_, "0: any that is free")
        ->check(CLI::Range(0, 65535))
        ->capture_default_str();
    app.add_option("--bind", bind_,
                   "the address to listen on; beyond this machine everyone who reaches it can read "
                   "the runs: ssh -L is the safer way")
        ->capture_default_str();
    app.footer(
        "It reads the runs' files and writes nothing. GET / is the page; for scripts: /api/runs,\n"
        "/api/run/ID/metrics?from=BYTE, /api/run/ID/entropy?step=STEP, /events (server-sent "
        "events),\n"
        "/metrics (Prometheus), /healthz. SIGINT or SIGTERM ends it with exit code 0.");
  }

  ExitCode run() override {
    web::RunSet runs(runs_);
    const EndSignals signals;
    const web::MonitorServer server(runs, {.bind = bind_, .port = port_});
    if (!is_loopback(bind_)) {
      std::cout << "clausius monitor: everyone who reaches " << bind_ << " can read these runs\n";
    }
    std::cout << "clausius monitor: " << server.url() << " shows " << runs.size()
              << (runs.size() == 1 ? " run" : " runs") << "; Ctrl-C ends it" << std::endl;
    signals.wait();
    return ExitCode::kDone;
  }

 private:
  std::vector<std::string> runs_;
  int port_ = kPort;
  std::string bind_ = "127.0.0.1";
};

CLS_COMMAND("monitor",
            "runs as a live web page: loss, every head's entropy, alarms",
            MonitorCommand);

}  // namespace
}  // namespace clausius
