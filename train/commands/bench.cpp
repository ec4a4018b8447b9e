// SPDX-License-Identifier: Apache-2.0
// `clausius bench`: ops and whole training steps, with the machine's ceilings beside them.
#include <algorithm>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/App.hpp>
#include <fmt/format.h>

#include "core/device_backend.h"
#include "core/io/json.h"
#include "core/ops/matmul/gemm_ceiling.h"
#include "core/parallel.h"
#include "core/version.h"
#include "train/benchmarks/micro.h"
#include "train/benchmarks/step.h"
#include "train/commands/command.h"
#include "train/format.h"
#include "train/machine.h"

namespace clausius {
namespace {

class BenchCommand final : public Command {
 public:
  void declare(CLI::App& app) override {
    app.add_option(
        "filter", filter_,
        "parts of names: attention; adamw,sgd: either; attention+bf16: both; step: whole "
        "training steps alone");
    app.add_option("overrides", overrides_,
                   "key=value for the recipes of step: precision=bf16 model.layers=2");
    app.add_option("--recipe", recipes_,
                   "recipes whose steps are timed (default: baby_gpt and gpt2_124m)");
    app.add_option("--device", device_word_, "cpu, cuda, or auto: cuda where there is one")
        ->capture_default_str();
    app.add_option("--rows", step_.rows,
                   "rows of a step; 0: 2048 tokens of them, on a device 16384 tokens")
        ->capture_default_str();
    app.add_flag("--observe", step_.observe,
                 "also time steps in pairs, one of them watched as the recipe's monitor says");
    app.add_option("--steps", step_.steps, "steps that are timed, after two that warm up")
        ->capture_default_str();
    app.add_option("--threads", threads_, "0: the cores of the affinity mask")
        ->capture_default_str();
    app.add_flag("--list", list_, "the names of the benchmarks, and nothing else");
    app.add_flag("--json", json_, "one object, for scripts");
  }

  ExitCode run() override {
    CLS_CHECK(step_.rows >= 0 && step_.steps >= 1 && threads_ >= 0, ConfigError,
              "--rows and --threads must be 0 or more, --steps 1 or more");
    if (filter_.find('=') != std::string::npos) {
      overrides_.insert(overrides_.begin(), std::move(filter_));
      filter_ = "step";
    }
    device_ = chosen_device();
    std::vector<MicroBenchmark> micro = micro_benchmarks(device_, benchmark_shapes(device_));
    std::erase_if(micro, [&](const MicroBenchmark& m) { return !selects(filter_, label_of(m)); });
    const bool steps = selects(filter_, "step");
    CLS_CHECK(steps || !micro.empty(), ConfigError, "no benchmark has '", filter_,
              "' in its name; --list shows them");
    if (list_) {
      return show_names(micro, steps);
    }
    // Recipes are read before anything is measured: a wrong key should not cost a minute.
    const std::vector<Recipe> recipes = steps ? step_recipes() : std::vector<Recipe>();
    set_num_threads(threads_ > 0 ? threads_ : available_cores());
    measure_ceilings();
    for (const MicroBenchmark& benchmark : micro) {
      show(benchmark, measure(device_, benchmark));
    }
    for (const Recipe& recipe : recipes) {
      show(benchmark_step(recipe, step_));
    }
    if (json_) {
      document_.set("benchmarks", micro_json_);
      document_.set("steps", step_json_);
      std::cout << document_.dump() << '\n';
    }
    return ExitCode::kDone;
  }

 private:
  [[nodiscard]] bool overrides(std::string_view key) const {
    return std::any_of(overrides_.begin(), overrides_.end(),
                       [&](const std::string& text) { return text.starts_with(concat(key, "=")); });
  }

  // Each recipe in f32 and in bf16, and on the device of the ops, unless the overrides choose.
  [[nodiscard]] std::vector<Recipe> step_recipes() const {
    std::vector<std::string> common = overrides_;
    if (!overrides("device")) {
      common.push_back(concat("device=", device_word_));
    }
    std::vector<Recipe> list;
    for (const std::string& name :
         recipes_.empty() ? std::vector<std::string>{"baby_gpt", "gpt2_124m"} : recipes_) {
      for (const char* precision : {"precision=f32", "precision=bf16"}) {
        std::vector<std::string> all = common;
        if (!overrides("precision")) {
          all.emplace_back(precision);
        }
        list.push_back(load_recipe(find_recipe(name), all));
        if (overrides("precision")) {
          break;
        }
      }
    }
    return list;
  }

  [[nodiscard]] Device chosen_device() const {
    CLS_CHECK(device_word_ == "auto" || device_word_ == "cpu" || device_word_ == "cuda",
              ConfigError, "--device ", device_word_, "; expected auto, cpu or cuda");
    if (device_word_ == "cuda") {
      (void)require_backend(kCuda);
    }
    const bool cuda = device_word_ == "cuda" || (device_word_ == "auto" && cuda_backend());
    return cuda ? kCuda : kCpu;
  }

  static std::string label_of(const MicroBenchmark& benchmark) {
    return concat(benchmark.name, "/", name_of(benchmark.dtype));
  }

  static ExitCode show_names(const std::vector<MicroBenchmark>& micro, bool steps) {
    for (const MicroBenchmark& benchmark : micro) {
      std::cout << label_of(benchmark) << '\n';
    }
    std::cout << (steps ? "step\n" : "");
    return ExitCode::kDone;
  }

  void measure_ceilings() {
    document_.set("version", kVersion);
    document_.set("commit", kCommit);
    document_.set("cpu", cpu_model());
    document_.set("threads", num_threads());
    document_.set("device", concat(device_));
    device_ == kCpu ? measure_host() : measure_device();
  }

  void measure_device() {
    ceilings_ = {.gemm_f32 = measure_gemm_peak(Dtype::kF32, device_),
                 .gemm_bf16 = measure_gemm_peak(Dtype::kBf16, device_),
                 .copy = measure_copy_bandwidth(device_)};
    const std::string name = require_backend(device_).describe(device_.index);
    Json ceilings;
    ceilings.set("f32_flops", ceilings_.gemm_f32);
    ceilings.set("bf16_flops", ceilings_.gemm_bf16);
    ceilings.set("copy_bytes_per_second", ceilings_.copy);
    document_.set("device_name", name);
    document_.set("ceilings", ceilings);
    if (!json_) {
      std::cout << fmt::format("{}\n  products: f32 {}, bf16 {}\n  copy: {}\n\n", name,
                               format_si(ceilings_.gemm_f32, "FLOP/s"),
                               format_si(ceilings_.gemm_bf16, "FLOP/s"),
                               format_si(ceilings_.copy, "B/s"));
    }
  }

  void measure_host() {
    const ops::GemmCeiling f32 = ops::measure_gemm_ceiling(Dtype::kF32);
    const ops::GemmCeiling bf16 = ops::measure_gemm_ceiling(Dtype::kBf16);
    ceilings_ = {
        .gemm_f32 = f32.best(), .gemm_bf16 = bf16.best(), .copy = measure_copy_bandwidth()};
    Json ceilings;
    for (const auto& [name, ceiling] : {std::pair("f32", f32), std::pair("bf16", bf16)}) {
      ceilings.set(concat(name, "_flops"), ceiling.best());
      ceilings.set(concat("onednn_", name, "_flops"), ceiling.onednn);
      ceilings.set(concat("libxsmm_", name, "_flops"), ceiling.libxsmm);
    }
    ceilings.set("copy_bytes_per_second", ceilings_.copy);
    document_.set("ceilings", ceilings);
    if (!json_) {
      std::cout << fmt::format("{}, {} thread{}\n", cpu_model(), num_threads(),
                               num_threads() == 1 ? "" : "s");
      for (const auto& [name, ceiling] : {std::pair("f32", f32), std::pair("bf16", bf16)}) {
        std::cout << fmt::format("  {:<4} products: oneDNN {}, libxsmm {}\n", name,
                                 format_si(ceiling.onednn, "FLOP/s"),
                                 format_si(ceiling.libxsmm, "FLOP/s"));
      }
      std::cout << fmt::format("  copy: {}\n\n", format_si(ceilings_.copy, "B/s"));
    }
  }

  void show(const MicroBenchmark& benchmark, const MicroResult& result) {
    const double fraction = result.fraction_of(ceilings_, benchmark.dtype);
    if (json_) {
      Json row;
      row.set("name", benchmark.name);
      row.set("dtype", name_of(benchmark.dtype));
      row.set("seconds", result.seconds);
      row.set("flops_per_second", result.flops / result.seconds);
      row.set("bytes_per_second", result.bytes / result.seconds);
      row.set("fraction_of_ceiling", fraction);
      micro_json_.push(row);
      return;
    }
    const std::string rate = result.flops > 0 ? format_si(result.flops / result.seconds, "FLOP/s")
                                              : format_si(result.bytes / result.seconds, "B/s");
    std::cout << fmt::format("{:<56} {:<5} {:>10} {:>14}  {:>3.0f} % of {}\n", benchmark.name,
                             name_of(benchmark.dtype), format_duration(result.seconds), rate,
                             100 * fraction, result.flops > 0 ? "products" : "copy")
              << std::flush;
  }

  void show(const StepBenchmark& step) {
    const double rate = step.flops / step.median_seconds;
    const double peak = step.device == device_ ? ceilings_.gemm(step.dtype)
                                               : measure_gemm_peak(step.dtype, step.device);
    const double fraction = rate / peak;
    if (json_) {
      Json row;
      row.set("recipe", step.recipe);
      row.set("device", concat(step.device));
      row.set("peak_flops", peak);
      row.set("dtype", name_of(step.dtype));
      row.set("rows", step.rows);
      row.set("context_length", step.context_length);
      row.set("vocab_size", step.vocab_size);
      row.set("threads", step.threads);
      row.set("tokens_per_second", step.tokens_per_second());
      row.set("step_ms", step.median_seconds * 1e3);
      row.set("best_step_ms", step.best_seconds * 1e3);
      row.set("flops_per_second", rate);
      row.set("fraction_of_peak", fraction);
      row.set("peak_memory_bytes", step.peak_memory_bytes);
      row.set("held_memory_bytes", step.held_memory_bytes);
      row.set("peak_resident_bytes", step.peak_resident_bytes);
      row.set("loss", step.loss);
      if (step_.observe) {
        row.set("observing_ms", step.observing_seconds * 1e3);
      }
      step_json_.push(row);
      return;
    }
    std::cout << fmt::format(
                     "step/{:<51} {:<5} {:>10} {:>14}  {:>3.0f} % of products  {:>9} tokens/s, "
                     "{} at most, {} held ({} x {} tokens)\n",
                     step.recipe, name_of(step.dtype), format_duration(step.median_seconds),
                     format_si(rate, "FLOP/s"), 100 * fraction, format_si(step.tokens_per_second()),
                     format_bytes(static_cast<double>(step.peak_memory_bytes)),
                     format_bytes(static_cast<double>(step.held_memory_bytes)), step.rows,
                     step.context_length)
              << std::flush;
    if (step_.observe) {
      std::cout << fmt::format("step/{:<51} {:<5} watching a step adds {:.2f} ms, {:.3f} % of it\n",
                               step.recipe, name_of(step.dtype), step.observing_seconds * 1e3,
                               100 * step.observing_seconds / step.median_seconds)
                << std::flush;
    }
  }

  std::string filter_;
  std::vector<std::string> overrides_;
  std::vector<std::string> recipes_;
  StepBenchmarkOptions step_;
  int threads_ = 0;
  std::string device_word_ = "auto";
  bool list_ = false;
  bool json_ = false;
  Device device_ = kCpu;
  Ceilings ceilings_;
  Json document_;
  Json micro_json_{Json::Array{}};
  Json step_json_{Json::Array{}};
};

CLS_COMMAND("bench",
            "ops and whole training steps, with the machine's ceilings beside them",
            BenchCommand);

}  // namespace
}  // namespace clausius
