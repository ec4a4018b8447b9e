// SPDX-License-Identifier: Apache-2.0
// Plans as tables and as JSON.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "train/format.h"
#include "train/plan.h"

namespace clausius {
namespace {

struct MemoryRow {
  std::string_view key;
  std::string_view label;
  std::int64_t MemoryPlan::*bytes;
};

constexpr std::array kMemoryRows = {
    MemoryRow{"parameters", "parameters, f32", &MemoryPlan::parameters},
    MemoryRow{"compute_copy", "bf16 copy", &MemoryPlan::compute_copy},
    MemoryRow{"reparam", "vectors, made weights", &MemoryPlan::reparam},
    MemoryRow{"gradients", "gradients", &MemoryPlan::gradients},
    MemoryRow{"optimizer", "optimizer state", &MemoryPlan::optimizer},
    MemoryRow{"activations", "activations kept for backward", &MemoryPlan::activations},
    MemoryRow{"working", "working memory at the peak", &MemoryPlan::working},
    MemoryRow{"workspace", "workspace of matrix products", &MemoryPlan::workspace},
};

// Beside the peak of a step on a device, part of it on the CPU.
constexpr MemoryRow kBatches{"batches", "batches read ahead", &MemoryPlan::batches};

std::string plural(std::int64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string row(std::string_view label, const TrainingPlan& plan, const auto& value) {
  std::string line = fmt::format("  {:<32}", label);
  for (const MemoryPlan& memory : plan.memory) {
    line += fmt::format("{:>14}", value(memory));
  }
  return line + "\n";
}

std::string parameters_text(const TrainingPlan& plan) {
  std::string text =
      fmt::format("parameters  {}\n", format_si(static_cast<double>(plan.parameters)));
  for (const PartPlan& part : plan.parts) {
    const auto total = static_cast<double>(part.parameters);
    text += fmt::format("  {:<32}{:>14}", part.name, format_si(total));
    text += part.count > 1 ? fmt::format("  {} of {} each", part.count,
                                         format_si(total / static_cast<double>(part.count)))
                           : "";
    text += "\n";
  }
  return text;
}

std::string memory_text(const TrainingPlan& plan) {
  std::string text = row("memory of a rank   recompute:", plan, [&](const MemoryPlan& memory) {
    return std::string(word_of(memory.recompute)) +
           (memory.recompute == plan.recompute ? " *" : "");
  });
  text.erase(0, 2);
  const auto add = [&](const MemoryRow& category) {
    const bool there = std::any_of(plan.memory.begin(), plan.memory.end(),
                                   [&](const auto& memory) { return memory.*category.bytes > 0; });
    if (!there && category.key == "reparam") {
      return;  // most models have none
    }
    text += row(category.label, plan, [&](const MemoryPlan& memory) {
      const std::int64_t bytes = memory.*category.bytes;
      return bytes > 0 ? format_bytes(static_cast<double>(bytes)) : std::string("-");
    });
  };
  const bool on_device = plan.device != kCpu;
  std::for_each(kMemoryRows.begin(), kMemoryRows.end() - (on_device ? 0 : 1), add);
  if (!on_device) {
    add(kBatches);
  }
  text += row("peak of a step", plan, [](const MemoryPlan& memory) {
    return format_bytes(static_cast<double>(memory.step_bytes()));
  });
  constexpr MemoryRow kCheckpoint{"", "copy for a checkpoint", &MemoryPlan::checkpoint_copy};
  constexpr MemoryRow kKept{"", "blocks kept for reuse", &MemoryPlan::kept};
  add(on_device ? kKept : kCheckpoint);
  text += row("in all", plan, [](const MemoryPlan& memory) {
    return format_bytes(static_cast<double>(memory.total_bytes()));
  });
  if (on_device) {
    add({kBatches.key, "of the host: batches read ahead", kBatches.bytes});
    add({kCheckpoint.key, "of the host: a checkpoint's copy", kCheckpoint.bytes});
  }
  const MemoryPlan& chosen = plan.chosen();
  text += fmt::format("  the peak lies in the {} pass; the head holds {} of logits at a time\n",
                      chosen.peak_in_forward ? "forward" : "backward",
                      format_bytes(static_cast<double>(chosen.logits_chunk)));
  text += fmt::format("  {}: {} of {} for {} on {}\n", plan.fits() ? "fits" : "does not fit",
                      format_bytes(static_cast<double>(chosen.total_bytes()) * plan.run.ranks),
                      format_bytes(static_cast<double>(plan.available_bytes)),
                      plural(plan.run.ranks, "rank"), plan.machine);
  return text;
}

// Of every rank working at its peak, recomputation included.
double least_seconds(const TrainingPlan& plan, double peak_flops) {
  const bool again = plan.recompute == Recompute::kBlock;
  const double flops = plan.matmul_flops * (again ? 4.0 / 3.0 : 1.0) +
                       plan.attention_flops * (again ? 4.5 / 3.5 : 1.0);
  return flops / (peak_flops * plan.run.ranks);
}

std::string arithmetic_text(const TrainingPlan& plan, double peak_flops) {
  const double tokens = static_cast<double>(plan.run.batch_samples * plan.run.tokens_per_sample);
  const auto line = [](std::string_view label, const std::string& value) {
    return fmt::format("  {:<32}{:>14}\n", label, value);
  };
  std::string text = "arithmetic of a step\n";
  text += line("tokens", format_si(tokens));
  text += line("matrix products", format_si(plan.matmul_flops, "FLOP"));
  text += line("attention", format_si(plan.attention_flops, "FLOP"));
  if (peak_flops > 0) {
    const double seconds = least_seconds(plan, peak_flops);
    text += line("peak of a rank", format_si(peak_flops, "FLOP/s"));
    text += line("a step takes at least", format_duration(seconds));
    text += fmt::format("  {:<32}{:>14}\n", fmt::format("{} steps at least", plan.run.steps),
                        format_duration(seconds * static_cast<double>(plan.run.steps)));
  }
  return text;
}

}  // namespace

std::string to_text(const TrainingPlan& plan, double peak_flops) {
  const RunPlan& run = plan.run;
  return fmt::format("{}: {}, vocabulary {}, context {}; steps of {} by {} of {}, micro-batch {}\n",
                     plan.name, plan.precision, plan.vocab_size, run.tokens_per_sample,
                     plural(run.batch_samples, "sample"), plural(run.ranks, "rank"),
                     plural(run.threads, "thread"), run.micro_batch) +
         parameters_text(plan) + memory_text(plan) + arithmetic_text(plan, peak_flops);
}

Json to_json(const TrainingPlan& plan, double peak_flops) {
  Json parts;
  for (const PartPlan& part : plan.parts) {
    parts.set(part.name, part.parameters);
  }
  Json memories;
  for (const MemoryPlan& memory : plan.memory) {
    Json bytes;
    for (const MemoryRow& category : kMemoryRows) {
      bytes.set(category.key, memory.*category.bytes);
    }
    bytes.set(kBatches.key, memory.batches);
    bytes.set("kept", memory.kept);
    bytes.set("logits_chunk", memory.logits_chunk);
    bytes.set("step_peak", memory.step_bytes());
    bytes.set("checkpoint_copy", memory.checkpoint_copy);
    bytes.set("total", memory.total_bytes());
    memories.set(word_of(memory.recompute), bytes);
  }
  Json document;
  document.set("name", plan.name);
  document.set("precision", plan.precision);
  document.set("machine", plan.machine);
  document.set("device", concat(plan.device));
  document.set("ranks", plan.run.ranks);
  document.set("threads", plan.run.threads);
  document.set("micro_batch", plan.run.micro_batch);
  document.set("batch_samples", plan.run.batch_samples);
  document.set("context_length", plan.run.tokens_per_sample);
  document.set("vocab_size", plan.vocab_size);
  document.set("steps", plan.run.steps);
  document.set("parameters", plan.parameters);
  document.set("parameters_by_part", parts);
  document.set("recompute", word_of(plan.recompute));
  document.set("memory_bytes", memories);
  document.set("available_bytes", plan.available_bytes);
  document.set("fits", plan.fits());
  document.set("matmul_flops", plan.matmul_flops);
  document.set("attention_flops", plan.attention_flops);
  document.set("peak_flops", peak_flops);
  document.set("least_step_seconds", least_seconds(plan, peak_flops));
  return document;
}

}  // namespace clausius
