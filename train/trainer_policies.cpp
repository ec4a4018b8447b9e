// SPDX-License-Identifier: Apache-2.0
// What a run does about its alarms: stop, leave updates out, go back to a checkpoint, raise temperatures.
#include <algorithm>
#include <string>

#include <fmt/format.h>

#include "core/error.h"
#include "train/trainer_parts.h"

namespace clausius {
namespace {

// Rollbacks without a checkpoint past the alarm in between: the state, not the data, is what is wrong then.
constexpr std::int64_t kMostRollbacks = 3;
// Updates left out in a row, in multiples of monitor.alarm_after: no step is good any more then.
constexpr std::int64_t kMostLeftOut = 10;

// The newest valid checkpoint of a step before `before`; empty: there is none.
std::string newest_before(const std::filesystem::path& directory, std::int64_t before, Log& log) {
  std::vector<CheckpointFile> files = list_checkpoints(directory);
  std::reverse(files.begin(), files.end());
  for (const CheckpointFile& file : files) {
    if (file.step >= before) {
      continue;
    }
    try {
      verify_checkpoint(file.path);
      return file.path.string();
    } catch (const IoError& error) {
      log.warn(error.what());
    }
  }
  return "";
}

}  // namespace

// Asked on every rank, of numbers that are the same on all.
bool Trainer::accepts(std::int64_t step, const StepOutcome& outcome) {
  Parts& p = *parts_;
  if (p.health->policy(Alarm::kSpike) != AlarmPolicy::kSkip) {
    return true;
  }
  const std::string spike = p.health->spike_in(outcome.loss, outcome.grad_norm);
  if (!spike.empty()) {
    left_out(fmt::format("step {}: {}", step, spike));
  }
  return spike.empty();
}

void Trainer::not_finite(std::int64_t step, const std::string& what) {
  if (parts_->health->policy(Alarm::kNonfinite) == AlarmPolicy::kSkip) {
    return left_out(what);
  }
  stop(step, "nonfinite: " + what);
}

void Trainer::left_out(const std::string& what) {
  Parts& p = *parts_;
  event("alarm", "update left out: " + what);
  ++p.left_out;
  CLS_CHECK(p.left_out < kMostLeftOut * recipe_.monitor.alarm_after, GuardError, p.left_out,
            " updates in a row were left out; the last: ", what);
}

bool Trainer::act(const HealthVerdict& verdict, std::int64_t step) {
  Parts& p = *parts_;
  if (!verdict.stop.empty()) {
    stop(step, verdict.stop);
  }
  if (!verdict.rollback.empty()) {
    roll_back(verdict.rollback_before, verdict.rollback);
    return false;
  }
  for (const HeadPlace& place : verdict.warmer) {
    if (p.model->raise_temperature(place.layer, place.head, kTemperatureRaise)) {
      event("alarm", fmt::format("temperature raised: layer {} head {}: times {}", place.layer,
                                 place.head, kTemperatureRaise));
    }
  }
  if (!verdict.warmer.empty()) {
    p.model->parameters().refresh_compute_copy();
  }
  return true;
}

void Trainer::stop(std::int64_t step, const std::string& alarm) {
  Parts& p = *parts_;
  std::string kept = "no step is done";
  if (p.position.step > 0) {
    save_checkpoint();
    if (p.saver != nullptr) {
      p.saver->wait();
    }
    kept = fmt::format("the state of step {} is kept in {}", p.position.step,
                       checkpoint_path(p.files.checkpoints(), p.position.step).string());
  }
  event("end", "stopped by an alarm: " + alarm);
  p.observers.clear();
  communicator_.barrier("stop by an alarm");
  throw GuardError(concat("step ", step, ": ", alarm, " (monitor.on_alarm: stop); ", kept,
                          ". --resume auto goes on from there, with another policy if the recipe "
                          "names one; --resume CHECKPOINT from an earlier one"));
}

void Trainer::roll_back(std::int64_t before, const std::string& alarm) {
  Parts& p = *parts_;
  const std::int64_t from = p.position.step;
  std::string path;
  if (p.writes) {
    p.saver->wait();
    path = newest_before(p.files.checkpoints(), before, log_);
  }
  path = communicator_.broadcast_text(std::move(path), 0, "checkpoint to go back to");
  CLS_CHECK(!path.empty(), GuardError, alarm, ": no checkpoint from before step ", before,
            " to go back to; checkpoint.every may be lower");
  CLS_CHECK(p.rollbacks < kMostRollbacks, GuardError, alarm, ": went back ", p.rollbacks,
            " times since the last checkpoint that is past it; other data do not help");
  ++p.rollbacks;
  p.rolled_back_from = std::max(p.rolled_back_from, from);
  const RunPosition reached = p.position;
  const Checkpoint checkpoint = read_checkpoint(path);
  restore(checkpoint);
  // The data go on: the samples that led to the alarm are not seen again.
  p.passed_over += reached.samples - p.position.samples;
  p.position.samples = reached.samples;
  p.position.tokens = reached.tokens;
  open_data();
  if (p.writes) {
    for (const auto& moved : set_aside_later_checkpoints(p.files.checkpoints(), p.position.step)) {
      log_.warn("set aside " + moved.string());
    }
    p.observers.clear();
    open_observers(/*resumed=*/true);
  }
  event("resume", fmt::format("rolled back from step {} to {}: {}", from, path, alarm));
}

}  // namespace clausius
