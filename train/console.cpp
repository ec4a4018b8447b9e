// SPDX-License-Identifier: Apache-2.0
// Progress lines.
#include "train/console.h"

#include <algorithm>
#include <limits>
#include <string>

#include <fmt/format.h>

namespace clausius {

std::string format_seconds(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::llround(std::max(seconds, 0.0)));
  if (whole < 60) {
    return fmt::format("{}s", whole);
  }
  if (whole < 3600) {
    return fmt::format("{}m{:02}s", whole / 60, whole % 60);
  }
  return fmt::format("{}h{:02}m", whole / 3600, whole / 60 % 60);
}

std::string format_count(double count) {
  if (count < 1e4) {
    return fmt::format("{:.0f}", count);
  }
  return count < 1e7 ? fmt::format("{:.1f}k", count * 1e-3) : fmt::format("{:.1f}M", count * 1e-6);
}

Console::Console(Log& log, std::int64_t first_step, std::int64_t last_step)
    : log_(log),
      first_step_(first_step),
      last_step_(last_step),
      start_(std::chrono::steady_clock::now()) {}

void Console::on_step(const StepReport& report) {
  if (!report.sampled) {
    return;
  }
  double lowest = std::numeric_limits<double>::infinity();
  double sum = 0;
  double heads = 0;
  for (const std::vector<HeadEntropy>& layer : report.entropy) {
    for (const HeadEntropy& head : layer) {
      lowest = std::min(lowest, head.entropy_nats);
      sum += head.entropy_nats;
      heads += 1;
    }
  }
  const std::string entropy = heads > 0 ? fmt::format("{:.2f}/{:.2f}  collapsed {}", lowest,
                                                      sum / heads, report.collapsed_heads)
                                        : "-";
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start_;
  const auto done = static_cast<double>(report.step - first_step_);
  const double left =
      done > 0 ? elapsed.count() / done * static_cast<double>(last_step_ - report.step) : 0.0;
  log_.line(fmt::format(
      "step {:>{}}/{}  loss {:.4f}  lr {:.2e}  grad {:.2e}  {:>7} tok/s  entropy min/mean {}  eta "
      "{}",
      report.step, std::to_string(last_step_).size(), last_step_, report.loss, report.lr,
      report.grad_norm, format_count(report.tokens_per_second), entropy, format_seconds(left)));
}

void Console::on_evaluation(std::int64_t step, const EvaluationReport& report) {
  const std::string bits = report.val_bits_per_byte > 0
                               ? fmt::format("  bits per byte {:.4f}", report.val_bits_per_byte)
                               : "";
  log_.line(fmt::format("step {:>{}}/{}  validation loss {:.4f}{}  ({} samples)", step,
                        std::to_string(last_step_).size(), last_step_, report.val_loss, bits,
                        report.samples));
}

void Console::on_event(std::int64_t step, std::string_view event, std::string_view message) {
  log_.line(fmt::format("step {:>{}}/{}  {}: {}", step, std::to_string(last_step_).size(),
                        last_step_, event, message));
}

}  // namespace clausius
