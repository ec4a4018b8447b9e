// SPDX-License-Identifier: Apache-2.0
// The runs that a monitor follows: refreshed by one thread, asked by many.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/io/json.h"
#include "train/web/run_view.h"

namespace clausius::web {

class RunSet {
 public:
  /// Directories that need not exist yet. Errors: IoError when not even their parent does: a misspelt path.
  explicit RunSet(const std::vector<std::string>& directories);
  RunSet(const RunSet&) = delete;
  RunSet& operator=(const RunSet&) = delete;

  /// Reads what is new in all of them, and wakes who waits for a change.
  void refresh();
  [[nodiscard]] std::size_t size() const { return runs_.size(); }
  [[nodiscard]] const std::string& name(std::size_t id) const { return runs_.at(id)->name; }
  [[nodiscard]] const RunFiles& files(std::size_t id) const { return runs_.at(id)->view.files(); }

  /// {"instance": of this process, "runs": [{id, name, status, version}]}. A page that sees another instance, or another version of a
  /// run, asks for the run.
  [[nodiscard]] Json list(double now) const;
  /// RunView::document with id, name, version and status.
  [[nodiscard]] Json series(std::size_t id,
                            const Have& samples,
                            const Have& heads,
                            double now) const;
  /// All runs for Prometheus (text exposition 0.0.4).
  [[nodiscard]] std::string prometheus(double now) const;

  /// Counts the changes. Waits for another number than `seen`, or until the time is over or stop() was called; then the current one.
  [[nodiscard]] std::int64_t wait_for_change(std::int64_t seen,
                                             std::chrono::milliseconds time) const;
  /// True when stop() was called before the time was over.
  [[nodiscard]] bool wait_for_stop(std::chrono::milliseconds time) const;
  void stop();
  [[nodiscard]] bool stopped() const;

 private:
  struct Followed {
    std::string name;
    RunView view;
    std::int64_t version = 0;
  };

  std::vector<std::unique_ptr<Followed>> runs_;
  std::string instance_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  mutable std::condition_variable stopping_;
  std::int64_t changes_ = 0;
  bool stopped_ = false;
};

}  // namespace clausius::web
