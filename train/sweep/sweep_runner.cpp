// SPDX-License-Identifier: Apache-2.0
// Starting cells, waiting for them, remembering how they ended.
#include "train/sweep/sweep_runner.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <thread>

#include <fmt/format.h>

#include "core/comm/launcher.h"
#include "core/io/atomic_file.h"
#include "core/io/file.h"
#include "core/parallel.h"
#include "train/console.h"
#include "train/recipe_changes.h"
#include "train/sweep/sweep_measure.h"

namespace clausius {
namespace {

namespace fs = std::filesystem;

constexpr auto kPoll = std::chrono::milliseconds(20);
// How long a cell that lost its sweep may take for its last checkpoint.
constexpr auto kPatience = std::chrono::seconds(120);

bool is_over(CellStatus status) {
  return status == CellStatus::kDone || status == CellStatus::kDiverged;
}

CellStatus status_of(int exit_code) {
  switch (exit_code) {
    case static_cast<int>(ExitCode::kDone):
      return CellStatus::kDone;
    case static_cast<int>(ExitCode::kGuard):
      return CellStatus::kDiverged;
    case static_cast<int>(ExitCode::kStoppedBySignal):
    case 128 + SIGUSR1:  // before it was ready to be stopped
      return CellStatus::kInterrupted;
    default:
      return CellStatus::kFailed;
  }
}

void make_directory(const fs::path& directory) {
  std::error_code failed;
  fs::create_directories(directory, failed);
  CLS_CHECK(!failed, IoError, directory.string(), ": cannot be made: ", failed.message());
}

// What a cell was asked: its recipe, or the arguments of an evaluation.
std::string order_of(const SweepCell& cell) {
  if (cell.recipe) {
    return to_yaml(*cell.recipe);
  }
  std::string text;
  for (const std::string& argument : cell.arguments) {
    text += argument + "\n";
  }
  return text;
}

std::string last_line(const fs::path& file) {
  std::string text = fs::exists(file) ? read_file(file) : "";
  while (text.ends_with('\n')) {
    text.pop_back();
  }
  return text.substr(text.rfind('\n') + 1);
}

std::string program() {
  std::error_code failed;
  const fs::path path = fs::read_symlink("/proc/self/exe", failed);
  CLS_CHECK(!failed, IoError, "this program does not know where it is: ", failed.message());
  return path.string();
}

// The process of a sweep that was killed may still be at its last checkpoint.
void wait_until_free(const fs::path& directory) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (fs::exists(directory) && RunLock::is_held(directory) &&
         std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(kPoll);
  }
}

}  // namespace

SweepRunner::SweepRunner(const SweepPlan& plan, const SweepOptions& options, Log& log)
    : plan_(plan), options_(options), log_(log), results_(plan.cells.size()) {
  options_.directory = fs::absolute(options.directory).lexically_normal();
  files_.directory = options_.directory;
  threads_ = options.jobs > 1 ? std::max(1, available_cores() / options.jobs) : 0;
  open_directory();
  recall();
}

void SweepRunner::open_directory() {
  const fs::path mark = files_.outcomes();
  make_directory(files_.directory);
  const bool foreign = !fs::exists(mark) &&
                       std::any_of(fs::directory_iterator(files_.directory),
                                   fs::directory_iterator(), [](const fs::directory_entry& entry) {
                                     return entry.path().filename() != "run.lock";
                                   });
  CLS_CHECK(!foreign, ConfigError, "--run ", options_.directory.string(),
            ": the directory holds something else than a sweep; choose another with --run");
  lock_ = std::make_unique<RunLock>(files_.directory);
  for (const char* folder : {"cells", "recipes", "logs"}) {
    make_directory(files_.directory / folder);
  }
  const LineWriter outcomes(mark, LineWriter::Existing::kContinue);
}

// What earlier runs of the sweep came to.
void SweepRunner::recall() {
  for (const Json& line : read_metric_lines(files_.outcomes())) {
    for (std::size_t cell = 0; cell < plan_.cells.size(); ++cell) {
      if (plan_.cells[cell].name == line.at("cell").text()) {
        const auto code = static_cast<int>(line.at("exit_code").integer());
        results_[cell] = {
            .status = status_of(code), .exit_code = code, .seconds = line.at("seconds").number()};
      }
    }
  }
  for (std::size_t cell = 0; cell < plan_.cells.size(); ++cell) {
    if (!fs::exists(files_.cell(plan_.cells[cell].name))) {
      results_[cell] = {};
    } else {
      check_unchanged(cell);
    }
    if (results_[cell].status == CellStatus::kDone) {
      measure(cell);
    }
  }
}

void SweepRunner::check_unchanged(std::size_t cell) const {
  const SweepCell& now = plan_.cells[cell];
  const fs::path file = files_.recipe(now.name);
  const std::string before = fs::exists(file) ? read_file(file) : "";
  std::string changes;
  if (!before.empty() && now.recipe && before != order_of(now)) {
    for (const RecipeChange& change :
         recipe_changes(parse_recipe(before, file.string(), file.parent_path()), *now.recipe)) {
      changes += fmt::format("{}{} was {}, is {}", changes.empty() ? "" : "; ", change.key,
                             change.before, change.after);
    }
  } else if (!before.empty() && before != order_of(now)) {
    changes = fmt::format("its arguments were\n{}", before);
  }
  CLS_CHECK(changes.empty(), ConfigError, "cell ", now.name, " has begun as another run: ", changes,
            "; choose another directory with --run, or remove ", files_.cell(now.name).string());
}

CellCommand SweepRunner::command_of(std::size_t cell) const {
  const SweepCell& what = plan_.cells[cell];
  CellCommand command{.words = options_.launcher, .directory = plan_.folder};
  command.words.push_back(program());
  command.output = files_.log(what.name);
  if (what.recipe) {
    const fs::path directory = files_.cell(what.name);
    command.words.insert(command.words.end(), {"train", files_.recipe(what.name).string(), "--run",
                                               directory.string(), "--resume", "auto"});
    if (threads_ > 0 && what.recipe->parallel.threads.is_auto()) {
      command.words.push_back(fmt::format("parallel.threads={}", threads_));
    }
    return command;
  }
  command.words.insert(command.words.end(), {"eval", plan_.config.checkpoint->string(), "--json"});
  command.words.insert(command.words.end(), what.arguments.begin(), what.arguments.end());
  const bool threads_told = std::any_of(
      what.arguments.begin(), what.arguments.end(),
      [](const std::string& argument) { return argument.starts_with("parallel.threads="); });
  if (threads_ > 0 && !threads_told) {
    command.words.push_back(fmt::format("parallel.threads={}", threads_));
  }
  command.errors = std::exchange(command.output, files_.cell(what.name) / "eval.json");
  return command;
}

void SweepRunner::start(std::size_t cell) {
  const SweepCell& what = plan_.cells[cell];
  wait_until_free(files_.cell(what.name));
  write_file_atomically(files_.recipe(what.name), order_of(what));
  if (!what.recipe) {
    make_directory(files_.cell(what.name));
    std::error_code none;
    fs::remove(files_.cell(what.name) / "eval.json", none);
  }
  log_.line(fmt::format("{} {}: {}", progress(), what.name,
                        results_[cell].status == CellStatus::kOpen ? "started" : "goes on"));
  running_.push_back({cell, std::make_unique<CellProcess>(command_of(cell))});
}

void SweepRunner::reap() {
  for (std::size_t i = 0; i < running_.size();) {
    const std::optional<int> code = running_[i].process->ended();
    if (!code) {
      ++i;
      continue;
    }
    const std::size_t cell = running_[i].cell;
    const double seconds = running_[i].process->seconds();
    running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(i));
    finish(cell, *code, seconds);
  }
}

void SweepRunner::finish(std::size_t cell, int exit_code, double seconds) {
  CellResult& result = results_[cell];
  result = {
      .status = status_of(exit_code), .exit_code = exit_code, .seconds = result.seconds + seconds};
  Json line;
  line.set("cell", plan_.cells[cell].name);
  line.set("exit_code", exit_code);
  line.set("seconds", result.seconds);
  LineWriter(files_.outcomes(), LineWriter::Existing::kContinue).write_line(line.dump());
  failed_ = failed_ || result.status == CellStatus::kFailed;
  if (result.status == CellStatus::kDone) {
    measure(cell);
  }
  report(cell);
  write_tables();
}

std::vector<Json> SweepRunner::read_lines(std::size_t cell) const {
  const SweepCell& what = plan_.cells[cell];
  const fs::path directory = files_.cell(what.name);
  if (what.recipe) {
    return read_metric_lines(directory / "metrics.jsonl");
  }
  const fs::path file = directory / "eval.json";
  return {Json::parse(read_file(file), file.string())};
}

void SweepRunner::measure(std::size_t cell) {
  const std::vector<Json> lines = read_lines(cell);
  for (const Measure& one : plan_.config.measure) {
    results_[cell].values.push_back(take_measure(one, lines));
  }
  warn_of_missing(cell, lines);
}

// A slip in a metric's name shows at the first cell, not after the last.
void SweepRunner::warn_of_missing(std::size_t cell, const std::vector<Json>& lines) {
  for (const Measure& one : plan_.config.measure) {
    const bool known = std::any_of(lines.begin(), lines.end(), [&](const Json& line) {
      return find_metric(line, one.metric) != nullptr;
    });
    if (known || !missing_told_.insert(one.metric).second) {
      continue;
    }
    const std::vector<std::string> keys = metric_keys(lines);
    log_.warn(fmt::format("measure '{}': cell {} has no such metric{}", one.metric,
                          plan_.cells[cell].name,
                          suggestion(one.metric, {keys.begin(), keys.end()})));
  }
}

std::string SweepRunner::progress() const {
  const auto over = std::count_if(results_.begin(), results_.end(), [](const CellResult& result) {
    return is_over(result.status) || result.status == CellStatus::kFailed;
  });
  const std::string total = std::to_string(results_.size());
  return fmt::format("[{:>{}}/{}]", over, total.size(), total);
}

void SweepRunner::report(std::size_t cell) {
  const CellResult& result = results_[cell];
  const std::string& name = plan_.cells[cell].name;
  std::string text = fmt::format("{} {}: {} in {}", progress(), name, name_of(result.status),
                                 format_seconds(result.seconds));
  for (std::size_t i = 0; i < result.values.size(); ++i) {
    text += fmt::format("{} {} {}", i == 0 ? ";" : ",", plan_.config.measure[i].label(),
                        result.values[i] ? fmt::format("{:.4g}", *result.values[i]) : "-");
  }
  if (result.status == CellStatus::kDiverged || result.status == CellStatus::kFailed) {
    text += fmt::format(" (exit code {}): {}", result.exit_code, last_line(files_.log(name)));
  }
  double seconds = 0;
  double ended = 0;
  double left = 0;
  for (const CellResult& other : results_) {
    seconds += is_over(other.status) ? other.seconds : 0.0;
    ended += is_over(other.status) ? 1.0 : 0.0;
    left += is_over(other.status) || other.status == CellStatus::kFailed ? 0.0 : 1.0;
  }
  if (left > 0 && ended > 0 && !stopping_) {
    text += fmt::format("  eta {}", format_seconds(seconds / ended * left / options_.jobs));
  }
  log_.line(text);
}

void SweepRunner::write_tables() const {
  write_file_atomically(files_.directory / "table.md", to_markdown(plan_, results_));
  write_file_atomically(files_.directory / "table.json", to_json(plan_, results_).dump(2) + "\n");
  write_file_atomically(files_.directory / "cells.csv", to_csv(plan_, results_));
}

ExitCode SweepRunner::run() {
  const StopSignals signals(detect_launcher().kind);
  std::vector<std::size_t> waiting;
  for (std::size_t cell = 0; cell < results_.size(); ++cell) {
    if (!is_over(results_[cell].status)) {
      waiting.push_back(cell);
      failed_ = false;
      if (results_[cell].status == CellStatus::kFailed) {
        results_[cell].status = CellStatus::kInterrupted;
      }
    }
  }
  log_.line(fmt::format(
      "sweep {}: {} cells, {} to run, {} at a time{}; {}", plan_.config.name, results_.size(),
      waiting.size(), options_.jobs,
      threads_ > 0 ? fmt::format(" with {} thread{} each", threads_, threads_ == 1 ? "" : "s") : "",
      fs::proximate(files_.directory).string()));
  auto next = waiting.begin();
  while (!running_.empty() || (next != waiting.end() && !stopping_)) {
    const bool may_start = !stopping_ && !(failed_ && plan_.config.on_failure == OnFailure::kStop);
    if (!may_start && running_.empty()) {
      break;
    }
    while (may_start && next != waiting.end() && std::ssize(running_) < options_.jobs) {
      start(*next++);
    }
    std::this_thread::sleep_for(kPoll);
    reap();
    if (!stopping_ && signals.requested() != StopRequest::kNone) {
      stopping_ = true;
      log_.line(
          fmt::format("{}: {} cells are asked to stop", signals.signal_name(), running_.size()));
      for (const Running& cell : running_) {
        cell.process->stop();
      }
    }
  }
  write_tables();
  return verdict();
}

ExitCode SweepRunner::verdict() const {
  if (stopping_) {
    return ExitCode::kStoppedBySignal;
  }
  for (const CellResult& result : results_) {
    if (result.status == CellStatus::kInterrupted) {
      return ExitCode::kStoppedBySignal;
    }
    if (result.status == CellStatus::kFailed) {
      const bool ours = result.exit_code >= static_cast<int>(ExitCode::kInternal) &&
                        result.exit_code <= static_cast<int>(ExitCode::kCommunication);
      return ours ? static_cast<ExitCode>(result.exit_code) : ExitCode::kInternal;
    }
  }
  return ExitCode::kDone;
}

}  // namespace clausius
