// SPDX-License-Identifier: Apache-2.0
// `clausius report`: runs as one page that opens anywhere, without a network.
#include <chrono>
#include <iostream>
#include <string>
#include <vector>

#include <CLI/App.hpp>

#include "core/io/atomic_file.h"
#include "core/version.h"
#include "train/commands/command.h"
#include "train/format.h"
#include "train/web/page.h"
#include "train/web/run_names.h"
#include "train/web/run_view.h"

namespace clausius {
namespace {

Json run_of(const std::string& directory, const std::string& name) {
  web::RunView run(directory);
  CLS_CHECK(std::filesystem::exists(run.files().metrics()), IoError, directory,
            ": is no run directory; it has no metrics.jsonl");
  run.refresh();
  if (!run.problem().empty()) {
    std::cerr << "clausius report: " << run.problem() << '\n';
  }
  Json document = run.document();
  document.set("name", name);
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  document.set("status", run.status(now.count()));
  return document;
}

class ReportCommand final : public Command {
 public:
  void declare(CLI::App& app) override {
    app.add_option("runs", runs_, "run directories; several are laid over one another")->required();
    app.add_option("--out", out_, "the file to write: one page of HTML that needs nothing else")
        ->required();
  }

  ExitCode run() override {
    const std::vector<std::string> names = web::run_names(runs_);
    Json list{Json::Array{}};
    for (std::size_t i = 0; i < runs_.size(); ++i) {
      list.push(run_of(runs_[i], names[i]));
    }
    Json data;
    data.set("version", kVersion);
    data.set("runs", list);
    const std::string page = web::report_page(data);
    write_file_atomically(out_, page);
    std::cout << out_ << ": " << format_bytes(static_cast<double>(page.size())) << '\n';
    return ExitCode::kDone;
  }

 private:
  std::vector<std::string> runs_;
  std::string out_;
};

CLS_COMMAND("report",
            "runs as one page of HTML: loss, every head's entropy, alarms",
            ReportCommand);

}  // namespace
}  // namespace clausius
