// SPDX-License-Identifier: Apache-2.0
// `clausius eval`: what a trained model scores on held-out data, or its exact logits.
#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

#include <CLI/App.hpp>
#include <fmt/format.h>

#include "core/io/atomic_file.h"
#include "core/parallel.h"
#include "train/commands/command.h"
#include "train/commands/ranks.h"
#include "train/evaluator.h"
#include "train/monitor/head_table.h"
#include "train/run_plan.h"
#include "train/training_state.h"

namespace clausius {
namespace {

// The recipe of a checkpoint cuts its validation data from its training data, which need not be here any more: where other
// validation data are named, they stand in for both.
std::vector<std::string> evaluation_overrides(std::vector<std::string> overrides) {
  const auto find = [&](std::string_view key) {
    return std::find_if(overrides.begin(), overrides.end(),
                        [&](const std::string& text) { return text.starts_with(key); });
  };
  const auto validation = find("data.validation=");
  if (validation != overrides.end()) {
    const std::string sources = validation->substr(validation->find('=') + 1);
    const bool no_ratio = find("data.validation_ratio=") == overrides.end();
    const bool no_train = find("data.train=") == overrides.end();
    if (no_ratio) {
      overrides.emplace_back("data.validation_ratio=0");
    }
    if (no_train) {
      overrides.push_back("data.train=" + sources);
    }
  }
  return overrides;
}

// Rank 0 first: where a token store has to be built, the others find it finished.
std::unique_ptr<Dataset> open_data(const LoadedModel& loaded, Communicator& communicator) {
  const DataContext context{
      .seed = static_cast<std::uint64_t>(loaded.recipe.seed),
      .cache_folder = loaded.path.parent_path(),
      .tokenizer_json = loaded.tokenizer != nullptr ? loaded.tokenizer->to_json() : ""};
  std::unique_ptr<Dataset> data;
  if (communicator.rank() == 0) {
    data = loaded.recipe.data.make(context);
  }
  communicator.barrier("data");
  return data != nullptr ? std::move(data) : loaded.recipe.data.make(context);
}

class EvalCommand final : public Command {
 public:
  void declare(CLI::App& app) override {
    app.add_option("checkpoint", checkpoint_, "a checkpoint, or a run directory: its newest")
        ->required();
    app.add_option("overrides", overrides_,
                   "key=value: evaluate.samples=all data.validation=other.txt precision=bf16");
    app.add_option("--tokens", tokens_,
                   "HDF5 file with a dataset `tokens`, i32 [rows, tokens]; with --logits-out");
    app.add_option("--logits-out", logits_,
                   "HDF5 file to write the logits of those tokens to: dataset `logits`, f32 "
                   "[rows, tokens, vocabulary]");
    app.add_flag("--json", json_, "one object, for scripts");
  }

  ExitCode run() override {
    CLS_CHECK(tokens_.empty() == logits_.empty(), ConfigError,
              "--tokens and --logits-out go together");
    const SavedModel saved = open_model(checkpoint_, evaluation_overrides(overrides_));
    const std::unique_ptr<Communicator> communicator =
        make_communicator(saved.recipe.parallel, saved.recipe.model_context().device);
    const LoadedModel loaded = load_model(saved);
    set_num_threads(narrow<int>(
        loaded.recipe.parallel.threads.value_or(std::int64_t{communicator->cores_per_rank()})));
    if (logits_.empty()) {
      score(loaded, *communicator);
    } else {
      CLS_CHECK(communicator->size() == 1, ConfigError,
                "--logits-out is written by one process; start it without mpirun");
      write_logits(loaded);
    }
    return ExitCode::kDone;
  }

 private:
  void score(const LoadedModel& loaded, Communicator& communicator) const {
    const std::unique_ptr<Dataset> data = open_data(loaded, communicator);
    CLS_CHECK(data->validation() != nullptr, ConfigError, loaded.path.string(),
              ": its recipe keeps no validation data; name some with data.validation=FILE");
    EntropyTotals totals(loaded.model->heads_per_layer(), loaded.model->parameters().device());
    const EvaluationReport report = evaluate(
        *loaded.model, *data->validation(),
        evaluation_samples(loaded.recipe.evaluate, data->facts()),
        micro_batch_of(loaded.recipe.train, data->facts().context_length), communicator, totals);
    totals.reduce(communicator);
    if (communicator.rank() == 0) {
      print(loaded, *data, report, totals.report());
    }
  }

  void print(const LoadedModel& loaded,
             const Dataset& data,
             const EvaluationReport& report,
             const EntropyReport& entropy) const {
    const HeadTable nats = head_table(entropy, &HeadEntropy::entropy_nats);
    const HeadTable normalized = head_table(entropy, &HeadEntropy::entropy_normalized);
    const bool has_bits = report.val_bits_per_byte > 0;
    if (json_) {
      Json result;
      result.set("checkpoint", loaded.path.string());
      result.set("step", loaded.step);
      result.set("samples", report.samples);
      result.set("val_loss", report.val_loss);
      result.set("val_bits_per_byte", has_bits ? Json(report.val_bits_per_byte) : Json());
      result.set("entropy_mean", to_json(nats));
      result.set("entropy_normalized", to_json(normalized));
      result.set("max_logit", to_json(head_table(entropy, &HeadEntropy::max_logit)));
      std::cout << result.dump() << '\n';
      return;
    }
    std::cout << fmt::format(
        "{} (step {})\n{}\nvalidation loss {:.4f} nats per token{} ({} samples)\n{}",
        loaded.path.string(), loaded.step, data.summary(), report.val_loss,
        has_bits ? fmt::format(", {:.4f} bits per byte", report.val_bits_per_byte) : "",
        report.samples, entropy_text(nats, normalized));
  }

  void write_logits(const LoadedModel& loaded) const {
    LanguageModel& model = loaded.language_model();
    const Tensor tokens = Hdf5Reader(tokens_).tensor("tokens");
    CLS_CHECK(
        tokens.rank() == 2 && (tokens.dtype() == Dtype::kI32 || tokens.dtype() == Dtype::kI64),
        DataError, tokens_, ": tokens is ", tokens.shape(), " of ", tokens.dtype(),
        "; expected integers, (rows, tokens)");
    const std::optional<std::int64_t> longest = model.longest_sequence();
    CLS_CHECK(!longest || tokens.size(1) <= *longest, DataError, tokens_, ": rows of ",
              tokens.size(1), " tokens; the model has learned positions for ", *longest);
    const Tensor logits_BTV = model.logits(tokens.to(Dtype::kI32)).to(Dtype::kF32);
    AtomicFile file{std::filesystem::path(logits_)};
    Hdf5Writer writer(file.temporary());
    writer.tensor("logits", logits_BTV);
    writer.attribute("/", "checkpoint", loaded.path.string());
    writer.attribute("/", "step", loaded.step);
    writer.close();
    file.commit();
    if (json_) {
      Json result;
      result.set("logits", logits_);
      result.set("shape", Json::Array{logits_BTV.size(0), logits_BTV.size(1), logits_BTV.size(2)});
      std::cout << result.dump() << '\n';
    } else {
      std::cout << fmt::format("{}: logits of {} rows of {} tokens, vocabulary {}\n", logits_,
                               logits_BTV.size(0), logits_BTV.size(1), logits_BTV.size(2));
    }
  }

  std::string checkpoint_;
  std::vector<std::string> overrides_;
  std::string tokens_;
  std::string logits_;
  bool json_ = false;
};

CLS_COMMAND("eval",
            "loss and head entropies of a trained model on held-out data; exact logits",
            EvalCommand);

}  // namespace
}  // namespace clausius
