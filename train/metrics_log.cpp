// SPDX-License-Identifier: Apache-2.0
// Lines of metrics.jsonl.
#include "train/metrics_log.h"

#include <chrono>
#include <cmath>

#include "core/io/json.h"
#include "train/monitor/head_table.h"

namespace clausius {
namespace {

Json new_line() {
  Json line;
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  line.set("wall_time", now.count());
  return line;
}

bool has_nonfinite(const Json& value) {
  if (value.is_array()) {
    for (const Json& element : value.array()) {
      if (has_nonfinite(element)) {
        return true;
      }
    }
    return false;
  }
  if (value.is_object()) {
    for (const auto& [key, member] : value.object()) {
      if (has_nonfinite(member)) {
        return true;
      }
    }
    return false;
  }
  return value.is_number() && !std::isfinite(value.number());
}

// NaN and infinities are written as null; their keys are listed so that nothing is lost.
std::string finish(Json line) {
  Json nonfinite;
  for (const auto& [key, member] : line.object()) {
    if (has_nonfinite(member)) {
      nonfinite.push(key);
    }
  }
  if (!nonfinite.is_null()) {
    line.set("nonfinite", nonfinite);
  }
  return line.dump();
}

}  // namespace

MetricsLog::MetricsLog(const std::filesystem::path& file, bool resume)
    : writer_(file, resume ? LineWriter::Existing::kContinue : LineWriter::Existing::kReplace) {}

void MetricsLog::on_step(const StepReport& report) {
  if (!report.sampled) {
    return;
  }
  Json line = new_line();
  line.set("step", report.step);
  line.set("tokens", report.tokens);
  line.set("samples", report.samples);
  line.set("loss", report.loss);
  line.set("lr", report.lr);
  line.set("grad_norm", report.grad_norm);
  line.set("update_norm", report.update_norm);
  line.set("tokens_per_second", report.tokens_per_second);
  line.set("step_ms", report.step_ms);
  line.set("model_tflops", report.model_tflops);
  line.set("fraction_of_peak", report.fraction_of_peak);
  line.set("peak_memory_bytes", report.peak_memory_bytes);
  if (!report.aux_losses.empty()) {
    Json losses;
    for (const auto& [name, value] : report.aux_losses) {
      losses.set(name, value);
    }
    line.set("aux_losses", losses);
  }
  if (report.lse_mean) {
    line.set("lse_mean", *report.lse_mean);
    line.set("lse_max", *report.lse_max);
  }
  line.set("entropy_mean", to_json(head_table(report.entropy, &HeadEntropy::entropy_nats)));
  line.set("entropy_normalized",
           to_json(head_table(report.entropy, &HeadEntropy::entropy_normalized)));
  line.set("max_logit", to_json(head_table(report.entropy, &HeadEntropy::max_logit)));
  for (const auto& [key, table] : report.heads) {
    line.set(key, to_json(table));
  }
  for (const auto& [key, values] : report.layers) {
    Json layers;
    for (const double value : values) {
      layers.push(value);
    }
    line.set(key, layers);
  }
  for (const auto& [key, values] : report.named) {
    Json named;
    for (const auto& [name, value] : values) {
      named.set(name, value);
    }
    line.set(key, named);
  }
  if (!report.qk_clips.empty()) {
    line.set("qk_clips", to_json(report.qk_clips));
  }
  if (!report.bands.empty()) {
    line.set("collapsed_heads", report.collapsed_heads);
    Json bands;
    for (const double share : report.bands) {
      bands.push(share);
    }
    line.set("bands", bands);
  }
  if (!report.alarms.empty()) {
    Json alarms;
    for (const std::string& alarm : report.alarms) {
      alarms.push(alarm);
    }
    line.set("alarms", alarms);
  }
  writer_.write_line(finish(line));
}

void MetricsLog::on_evaluation(std::int64_t step, const EvaluationReport& report) {
  Json line = new_line();
  line.set("step", step);
  line.set("val_loss", report.val_loss);
  line.set("val_bits_per_byte", report.val_bits_per_byte);
  writer_.write_line(finish(line));
}

void MetricsLog::on_event(std::int64_t step, std::string_view event, std::string_view message) {
  Json line = new_line();
  line.set("step", step);
  line.set("event", event);
  line.set("message", message);
  writer_.write_line(finish(line));
}

}  // namespace clausius
