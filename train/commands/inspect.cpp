// SPDX-License-Identifier: Apache-2.0
// `clausius inspect`: what is in a checkpoint, and how its run went.
#include <cmath>
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <CLI/App.hpp>
#include <fmt/format.h>

#include "core/dry_run.h"
#include "core/io/atomic_file.h"
#include "core/ops/sum_of_squares/sum_of_squares.h"
#include "train/commands/command.h"
#include "train/format.h"
#include "train/plot/run_figure.h"
#include "train/run_directory.h"
#include "train/run_history.h"
#include "train/training_state.h"

namespace clausius {
namespace {

// Everything that is known of the thing inspected; a run may have no checkpoint yet, a checkpoint no run.
struct Inspected {
  std::optional<std::filesystem::path> checkpoint_path;
  Checkpoint checkpoint;
  std::optional<Recipe> recipe;
  std::map<std::string, Role> roles;  // of the parameters
  std::optional<RunFiles> run;
  RunHistory history;
};

std::map<std::string, Role> roles_of(const Recipe& recipe) {
  const DryRun layout_only;
  const std::unique_ptr<Model> model = recipe.model.make(recipe.model_context());
  std::map<std::string, Role> roles;
  for (const Parameter& parameter : model->parameters().parameters()) {
    roles[parameter.path()] = parameter.role();
  }
  return roles;
}

void read_checkpoint_part(Inspected& found, const std::filesystem::path& path) {
  found.checkpoint_path = path;
  found.checkpoint = read_checkpoint(path, {.optimizer = false});
  found.recipe = recipe_of(found.checkpoint, path);
  found.roles = roles_of(*found.recipe);
}

Inspected inspect(const std::filesystem::path& file_or_run) {
  Inspected found;
  const RunFiles run{.directory = file_or_run};
  if (!std::filesystem::is_directory(file_or_run) || !std::filesystem::exists(run.metrics())) {
    read_checkpoint_part(found, find_checkpoint(file_or_run));
    return found;
  }
  found.run = run;
  found.history = read_run_history(run.metrics());
  if (find_latest_checkpoint(run.checkpoints()).file) {
    read_checkpoint_part(found, find_checkpoint(file_or_run));
  } else {
    found.recipe = load_recipe(run.recipe());
  }
  return found;
}

double norm_of(const Tensor& value) {
  return std::sqrt(ops::sum_of_squares(value.contiguous()).item());
}

std::string shape_text(const Shape& shape) {
  std::string text;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    text += (axis > 0 ? " x " : "") + std::to_string(shape[axis]);
  }
  return text.empty() ? "scalar" : text;
}

std::string_view role_text(const Inspected& found, const CheckpointTensor& tensor) {
  return tensor.role == TensorRole::kState ? "state" : name_of(found.roles.at(tensor.name));
}

std::string value_text(const Checkpoint& checkpoint, const std::string& name) {
  const auto found = checkpoint.values.find(name);
  if (found == checkpoint.values.end()) {
    return "?";
  }
  return std::visit([](const auto& value) { return fmt::format("{}", value); }, found->second);
}

struct Totals {
  std::int64_t tensors = 0;
  std::int64_t elements = 0;
  std::int64_t bytes = 0;
  std::map<std::string, std::int64_t> by_role;
};

Totals totals_of(const Inspected& found) {
  Totals totals;
  for (const CheckpointTensor& tensor : found.checkpoint.tensors) {
    if (tensor.role == TensorRole::kParameter) {
      ++totals.tensors;
      totals.elements += tensor.value.numel();
      totals.bytes += static_cast<std::int64_t>(tensor.value.bytes());
      totals.by_role[std::string(name_of(found.roles.at(tensor.name)))] += tensor.value.numel();
    }
  }
  return totals;
}

std::string checkpoint_text(const Inspected& found) {
  const Checkpoint& checkpoint = found.checkpoint;
  std::string text = fmt::format(
      "{}\n  recipe {}, step {}, {} tokens, {} samples\n  clausius {} (commit {}), {} rank(s) of "
      "{} "
      "thread(s), micro-batch {}\n\n",
      found.checkpoint_path->string(), found.recipe->name, checkpoint.step,
      format_si(static_cast<double>(checkpoint.tokens)), checkpoint.samples,
      value_text(checkpoint, "version"), value_text(checkpoint, "commit"),
      value_text(checkpoint, "ranks"), value_text(checkpoint, "threads"),
      value_text(checkpoint, "micro_batch"));
  std::size_t width = 9;
  for (const CheckpointTensor& tensor : checkpoint.tensors) {
    width = std::max(width, tensor.name.size());
  }
  text += fmt::format("{:<{}}  {:<11} {:<16} {:<5} {:>10}\n", "parameter", width, "role", "shape",
                      "type", "norm");
  for (const CheckpointTensor& tensor : checkpoint.tensors) {
    text += fmt::format("{:<{}}  {:<11} {:<16} {:<5} {:>10.4g}\n", tensor.name, width,
                        role_text(found, tensor), shape_text(tensor.value.shape()),
                        name_of(tensor.value.dtype()), norm_of(tensor.value));
  }
  for (const auto& [alias, name] : checkpoint.aliases) {
    text += fmt::format("{:<{}}  = {}\n", alias, width, name);
  }
  const Totals totals = totals_of(found);
  text += fmt::format("{} parameters in {} tensors, {}:", totals.elements, totals.tensors,
                      format_bytes(static_cast<double>(totals.bytes)));
  for (const auto& [role, count] : totals.by_role) {
    text += fmt::format(" {} {}", role, format_si(static_cast<double>(count)));
  }
  return text + "\n";
}

const EvaluationRecord* best_evaluation(const RunHistory& history) {
  const EvaluationRecord* best = nullptr;
  for (const EvaluationRecord& record : history.evaluations) {
    if (!std::isnan(record.val_loss) && (best == nullptr || record.val_loss < best->val_loss)) {
      best = &record;
    }
  }
  return best;
}

std::string evaluation_text(const EvaluationRecord& record) {
  return fmt::format("{:.4f}{} at step {}", record.val_loss,
                     record.val_bits_per_byte > 0
                         ? fmt::format(" ({:.4f} bits per byte)", record.val_bits_per_byte)
                         : "",
                     record.step);
}

std::string run_text(const Inspected& found) {
  const RunHistory& history = found.history;
  std::string text = fmt::format("\nrun {}\n", found.run->directory.string());
  if (!found.checkpoint_path) {
    text += "  no checkpoint yet\n";
  }
  if (history.steps.empty()) {
    return text + "  no sampled step yet\n";
  }
  const StepRecord& last = history.steps.back();
  text += fmt::format(
      "  step {}: loss {:.4f}, learning rate {:.3g}, gradient norm {:.3g}\n  {} tokens/s, {:.1f} "
      "ms a "
      "step, {:.0f} % of the peak, {} at most\n",
      last.step, last.loss, last.lr, last.grad_norm, format_si(last.tokens_per_second),
      last.step_ms, 100 * last.fraction_of_peak,
      format_bytes(static_cast<double>(last.peak_memory_bytes)));
  if (const EvaluationRecord* best = best_evaluation(history)) {
    text += fmt::format("  validation loss {}; best {}\n",
                        evaluation_text(history.evaluations.back()), evaluation_text(*best));
  }
  if (!history.events.empty()) {
    text += fmt::format("  last event: {} at step {}\n", history.events.back().event,
                        history.events.back().step);
  }
  text += last.alarms.empty() ? "  no alarm\n" : "";
  for (const std::string& alarm : last.alarms) {
    text += fmt::format("  alarm: {}\n", alarm);
  }
  return text + "\n" + entropy_text(last.entropy_nats, last.entropy_normalized);
}

Json checkpoint_json(const Inspected& found) {
  const Checkpoint& checkpoint = found.checkpoint;
  Json parameters{Json::Array{}};
  Json states{Json::Array{}};
  for (const CheckpointTensor& tensor : checkpoint.tensors) {
    Json::Array shape;
    for (int axis = 0; axis < tensor.value.rank(); ++axis) {
      shape.emplace_back(tensor.value.size(axis));
    }
    Json parameter;
    parameter.set("path", tensor.name);
    parameter.set("role", role_text(found, tensor));
    parameter.set("shape", shape);
    parameter.set("dtype", name_of(tensor.value.dtype()));
    parameter.set("norm", norm_of(tensor.value));
    (tensor.role == TensorRole::kState ? states : parameters).push(parameter);
  }
  Json aliases{Json::Object{}};
  for (const auto& [alias, name] : checkpoint.aliases) {
    aliases.set(alias, name);
  }
  const Totals totals = totals_of(found);
  Json roles{Json::Object{}};
  for (const auto& [role, count] : totals.by_role) {
    roles.set(role, count);
  }
  Json document;
  document.set("path", found.checkpoint_path->string());
  document.set("recipe", found.recipe->name);
  document.set("step", checkpoint.step);
  document.set("tokens", checkpoint.tokens);
  document.set("samples", checkpoint.samples);
  for (const auto& [name, value] : checkpoint.values) {
    document.set(name, std::visit([](const auto& held) { return Json(held); }, value));
  }
  document.set("num_parameters", totals.elements);
  document.set("parameter_bytes", totals.bytes);
  document.set("num_parameters_by_role", roles);
  document.set("aliases", aliases);
  document.set("parameters", parameters);
  document.set("states", states);
  return document;
}

Json run_json(const Inspected& found) {
  const RunHistory& history = found.history;
  Json document;
  document.set("directory", found.run->directory.string());
  if (!history.steps.empty()) {
    const StepRecord& last = history.steps.back();
    document.set("step", last.step);
    document.set("loss", last.loss);
    document.set("tokens_per_second", last.tokens_per_second);
    document.set("peak_memory_bytes", last.peak_memory_bytes);
    document.set("alarms", Json::Array(last.alarms.begin(), last.alarms.end()));
    document.set("entropy_mean", to_json(last.entropy_nats));
    document.set("entropy_normalized", to_json(last.entropy_normalized));
  }
  if (!history.evaluations.empty()) {
    document.set("val_loss", history.evaluations.back().val_loss);
    document.set("val_bits_per_byte", history.evaluations.back().val_bits_per_byte);
  }
  if (const EvaluationRecord* best = best_evaluation(history)) {
    document.set("best_val_loss", best->val_loss);
    document.set("best_step", best->step);
  }
  if (!history.events.empty()) {
    document.set("last_event", history.events.back().event);
  }
  return document;
}

std::string figure_of(const Inspected& found) {
  const RunHistory& history = found.history;
  const MonitorConfig& monitor = found.recipe->monitor;
  std::vector<std::string> facts;
  if (found.checkpoint_path) {
    facts.push_back(format_si(static_cast<double>(totals_of(found).elements)) + " parameters");
  }
  if (!history.steps.empty()) {
    const StepRecord& last = history.steps.back();
    facts.push_back(fmt::format("step {}", last.step));
    facts.push_back(format_si(static_cast<double>(last.tokens)) + " tokens");
    facts.push_back(fmt::format("loss {:.3f}", last.loss));
  }
  if (!history.evaluations.empty()) {
    const EvaluationRecord& last = history.evaluations.back();
    facts.push_back(fmt::format("validation {:.3f}", last.val_loss));
    if (last.val_bits_per_byte > 0) {
      facts.push_back(fmt::format("{:.3f} bits per byte", last.val_bits_per_byte));
    }
  }
  return run_figure(history, {.title = found.recipe->name,
                              .subtitle = fmt::format("{}", fmt::join(facts, ", ")),
                              .bands = monitor.bands,
                              .collapse_below = monitor.collapse_below,
                              .overload_above = monitor.overload_above});
}

class InspectCommand final : public Command {
 public:
  void declare(CLI::App& app) override {
    app.add_option("path", path_, "a checkpoint, or a run directory")->required();
    app.add_option("--plot", plot_,
                   "SVG file for the picture of a run: loss, and the entropy of its heads");
    app.add_flag("--json", json_, "one object, for scripts");
  }

  ExitCode run() override {
    const Inspected found = inspect(path_);
    CLS_CHECK(plot_.empty() || found.run, ConfigError, "--plot: ", path_,
              " is no run directory with metrics.jsonl");
    if (json_) {
      Json document;
      document.set("checkpoint", found.checkpoint_path ? checkpoint_json(found) : Json());
      document.set("run", found.run ? run_json(found) : Json());
      std::cout << document.dump() << '\n';
    } else {
      std::cout << (found.checkpoint_path ? checkpoint_text(found) : "")
                << (found.run ? run_text(found) : "");
    }
    if (!plot_.empty()) {
      write_file_atomically(plot_, figure_of(found));
    }
    return ExitCode::kDone;
  }

 private:
  std::string path_;
  std::string plot_;
  bool json_ = false;
};

CLS_COMMAND("inspect",
            "parameters, provenance and head entropies of a checkpoint or a run",
            InspectCommand);

}  // namespace
}  // namespace clausius
