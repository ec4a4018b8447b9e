// SPDX-License-Identifier: Apache-2.0
// Families of samples: all lines of one name together, after its help and type.
#include "train/web/prometheus.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <string_view>

#include <fmt/format.h>

namespace clausius::web {
namespace {

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '\\' || c == '"') {
      result += '\\';
      result += c;
    } else if (c == '\n') {
      result += "\\n";
    } else {
      result += c;
    }
  }
  return result;
}

std::string number_text(double value) {
  if (std::isnan(value)) {
    return "NaN";
  }
  return std::isinf(value) ? (value > 0 ? "+Inf" : "-Inf") : fmt::format("{}", value);
}

class Exposition {
 public:
  explicit Exposition(const std::vector<PrometheusRun>& runs) : runs_(runs) {}

  // One line a run; NaN (not told yet) is left out.
  void gauge(std::string_view name,
             std::string_view help,
             const std::function<double(const RunView&)>& value,
             std::string_view type = "gauge") {
    std::string lines;
    for (const PrometheusRun& run : runs_) {
      const double number = value(*run.view);
      if (!std::isnan(number)) {
        lines += line(name, run, "", number);
      }
    }
    family(name, help, type, lines);
  }

  void heads(std::string_view name, std::string_view help, std::string_view measure_name) {
    std::string lines;
    for (const PrometheusRun& run : runs_) {
      const HeadMeasure* measure = run.view->heads().find(measure_name);
      if (measure == nullptr || measure->bins.size() == 0) {
        continue;
      }
      const auto values = measure->bins.values(measure->bins.size() - 1);
      for (std::size_t i = 0; i < values.size(); ++i) {
        const auto heads = static_cast<std::size_t>(measure->heads);
        if (!std::isnan(values[i])) {
          lines += line(name, run, fmt::format(",layer=\"{}\",head=\"{}\"", i / heads, i % heads),
                        static_cast<double>(values[i]));
        }
      }
    }
    family(name, help, "gauge", lines);
  }

  void step_seconds() {
    constexpr std::array kBorders = {0.001, 0.003, 0.01, 0.03, 0.1,  0.3,
                                     1.0,   3.0,   10.0, 30.0, 100.0};
    constexpr std::string_view kName = "clausius_step_seconds";
    std::string lines;
    for (const PrometheusRun& run : runs_) {
      const auto column = run.view->samples().columns().find("step_ms");
      if (column == run.view->samples().columns().end()) {
        continue;
      }
      std::vector<double> times;
      double sum = 0;
      for (const double step_ms : column->second) {
        if (std::isfinite(step_ms)) {
          times.push_back(step_ms / 1000);
          sum += step_ms / 1000;
        }
      }
      const auto up_to = [&](double border) {
        return static_cast<double>(
            std::count_if(times.begin(), times.end(), [&](double t) { return t <= border; }));
      };
      for (const double border : kBorders) {
        lines += line(fmt::format("{}_bucket", kName), run, fmt::format(",le=\"{}\"", border),
                      up_to(border));
      }
      const auto all = static_cast<double>(times.size());
      lines += line(fmt::format("{}_bucket", kName), run, ",le=\"+Inf\"", all);
      lines += line(fmt::format("{}_sum", kName), run, "", sum);
      lines += line(fmt::format("{}_count", kName), run, "", all);
    }
    family(kName, "Time of the logged optimizer steps", "histogram", lines);
  }

  [[nodiscard]] std::string text() && { return std::move(text_); }

 private:
  static std::string line(std::string_view name,
                          const PrometheusRun& run,
                          std::string_view more_labels,
                          double value) {
    return fmt::format("{}{{run=\"{}\"{}}} {}\n", name, escaped(run.name), more_labels,
                       number_text(value));
  }

  void family(std::string_view name,
              std::string_view help,
              std::string_view type,
              const std::string& lines) {
    if (!lines.empty()) {
      text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n{}", name, help, name, type, lines);
    }
  }

  const std::vector<PrometheusRun>& runs_;
  std::string text_;
};

double collapsed_heads(const RunView& run) {
  const HeadMeasure* measure = run.heads().find("entropy_normalized");
  if (measure == nullptr || measure->bins.size() == 0) {
    return std::nan("");
  }
  const auto values = measure->bins.values(measure->bins.size() - 1);
  const double limit = run.facts().monitor.collapse_below;
  return static_cast<double>(std::count_if(values.begin(), values.end(), [&](float value) {
    return static_cast<double>(value) < limit;
  }));
}

}  // namespace

std::string prometheus_text(const std::vector<PrometheusRun>& runs, double now) {
  Exposition out(runs);
  const auto last = [](std::string_view column) {
    return [column](const RunView& run) { return run.samples().last(column); };
  };
  out.gauge("clausius_run_up", "1 while the run writes, 0 once it has ended or fallen silent",
            [now](const RunView& run) { return run.status(now) == "running" ? 1.0 : 0.0; });
  out.gauge("clausius_last_line_timestamp_seconds", "When the run last wrote a line",
            [](const RunView& run) { return run.last_wall_time(); });
  out.gauge("clausius_step", "Optimizer steps done at the last logged step",
            [](const RunView& run) {
              return run.samples().rows() == 0 ? std::nan("")
                                               : static_cast<double>(run.samples().steps().back());
            });
  out.gauge("clausius_tokens_total", "Tokens seen in all", last("tokens"), "counter");
  out.gauge("clausius_loss", "Training loss, nats per target", last("loss"));
  out.gauge("clausius_validation_loss", "Validation loss, nats per scored token",
            [](const RunView& run) { return run.evaluations().last("val_loss"); });
  out.gauge("clausius_learning_rate", "Learning rate", last("lr"));
  out.gauge("clausius_gradient_norm", "Gradient norm before clipping", last("grad_norm"));
  out.gauge("clausius_update_norm", "Norm of the last update", last("update_norm"));
  out.gauge("clausius_tokens_per_second", "Speed", last("tokens_per_second"));
  out.gauge("clausius_peak_memory_bytes", "Peak memory", last("peak_memory_bytes"));
  out.step_seconds();
  out.heads("clausius_attention_entropy_nats", "Mean attention entropy of a head", "entropy_nats");
  out.heads("clausius_attention_entropy_normalized",
            "Attention entropy of a head as a share of the attainable", "entropy_normalized");
  out.heads("clausius_attention_max_logit", "Largest attention logit of a head", "max_logit");
  out.gauge("clausius_attention_collapsed_heads", "Heads below the recipe's monitor.collapse_below",
            collapsed_heads);
  out.gauge("clausius_alarms", "Alarms that are raised",
            [](const RunView& run) { return static_cast<double>(run.alarms().size()); });
  return std::move(out).text();
}

}  // namespace clausius::web
