// SPDX-License-Identifier: Apache-2.0
// RunSet.
#include "train/web/run_set.h"

#include <unistd.h>

#include "core/error.h"
#include "train/web/prometheus.h"
#include "train/web/run_names.h"

namespace clausius::web {

RunSet::RunSet(const std::vector<std::string>& directories) {
  const std::vector<std::string> names = run_names(directories);
  for (std::size_t i = 0; i < directories.size(); ++i) {
    runs_.push_back(std::make_unique<Followed>(
        Followed{.name = names[i], .view = RunView(directories[i]), .version = 0}));
    const std::filesystem::path& directory = runs_.back()->view.files().directory;
    CLS_CHECK(std::filesystem::is_directory(directory) ||
                  (!std::filesystem::exists(directory) &&
                   std::filesystem::is_directory(directory.parent_path())),
              IoError, directories[i], ": is no run directory, and none can come to be there");
  }
  instance_ = concat(::getpid(), "-", std::chrono::system_clock::now().time_since_epoch().count());
}

void RunSet::refresh() {
  const std::lock_guard lock(mutex_);
  bool changed = false;
  for (const auto& run : runs_) {
    if (run->view.refresh()) {
      ++run->version;
      changed = true;
    }
  }
  if (changed) {
    ++changes_;
    changed_.notify_all();
  }
}

Json RunSet::list(double now) const {
  const std::lock_guard lock(mutex_);
  Json runs{Json::Array{}};
  for (std::size_t id = 0; id < runs_.size(); ++id) {
    Json run;
    run.set("id", static_cast<std::int64_t>(id));
    run.set("name", runs_[id]->name);
    run.set("status", runs_[id]->view.status(now));
    run.set("version", runs_[id]->version);
    runs.push(run);
  }
  Json document;
  document.set("instance", instance_);
  document.set("runs", runs);
  return document;
}

Json RunSet::series(std::size_t id, const Have& samples, const Have& heads, double now) const {
  const std::lock_guard lock(mutex_);
  const Followed& run = *runs_.at(id);
  Json document = run.view.document(samples, heads);
  document.set("id", static_cast<std::int64_t>(id));
  document.set("name", run.name);
  document.set("version", run.version);
  document.set("status", run.view.status(now));
  return document;
}

std::string RunSet::prometheus(double now) const {
  const std::lock_guard lock(mutex_);
  std::vector<PrometheusRun> runs;
  for (const auto& run : runs_) {
    runs.push_back({run->name, &run->view});
  }
  return prometheus_text(runs, now);
}

std::int64_t RunSet::wait_for_change(std::int64_t seen, std::chrono::milliseconds time) const {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, time, [&] { return stopped_ || changes_ != seen; });
  return changes_;
}

bool RunSet::wait_for_stop(std::chrono::milliseconds time) const {
  std::unique_lock lock(mutex_);
  return stopping_.wait_for(lock, time, [&] { return stopped_; });
}

void RunSet::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
  stopping_.notify_all();
}

bool RunSet::stopped() const {
  const std::lock_guard lock(mutex_);
  return stopped_;
}

}  // namespace clausius::web
