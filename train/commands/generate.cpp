// SPDX-License-Identifier: Apache-2.0
// `clausius generate`: continues a text with a trained model.
#include <chrono>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include <CLI/App.hpp>

#include "core/io/json.h"
#include "core/parallel.h"
#include "train/commands/command.h"
#include "train/generation.h"
#include "train/training_state.h"
#include "train/utf8_stream.h"

namespace clausius {
namespace {

// An empty prompt means the beginning of a document.
std::vector<std::int32_t> prompt_tokens(const Tokenizer& tokenizer, const std::string& prompt) {
  std::vector<std::int32_t> tokens = tokenizer.encode(prompt);
  if (tokens.empty()) {
    const std::optional<std::int32_t> start =
        tokenizer.bos_id() ? tokenizer.bos_id() : tokenizer.eos_id();
    CLS_CHECK(start.has_value(), ConfigError,
              "the tokenizer has no token that begins a document; give a --prompt");
    tokens.push_back(*start);
  }
  return tokens;
}

class GenerateCommand final : public Command {
 public:
  void declare(CLI::App& app) override {
    app.add_option("checkpoint", checkpoint_, "a checkpoint, or a run directory: its newest")
        ->required();
    app.add_option("overrides", overrides_,
                   "key=value: precision=bf16 parallel.threads=1 model.context_length=..");
    app.add_option("--prompt", prompt_,
                   "text to go on from; - reads it from the standard input; none: a new document");
    app.add_option("--max-tokens", options_.max_tokens, "at most so many new tokens")
        ->capture_default_str();
    app.add_option("--temperature", options_.temperature,
                   "divides the logits; 0: the likeliest token each time")
        ->capture_default_str();
    app.add_option("--top-k", options_.top_k, "only the k likeliest tokens; 0: all")
        ->capture_default_str();
    app.add_option("--top-p", options_.top_p,
                   "only the likeliest tokens whose probabilities reach p")
        ->capture_default_str();
    app.add_option("--seed", options_.seed, "another seed, another text")->capture_default_str();
    app.add_flag("--json", json_, "one object at the end, for scripts");
  }

  ExitCode run() override {
    CLS_CHECK(options_.max_tokens >= 0, ConfigError, "--max-tokens ", options_.max_tokens,
              "; expected 0 or more");
    const LoadedModel loaded = load_model(checkpoint_, overrides_);
    CLS_CHECK(
        loaded.tokenizer != nullptr, DataError, loaded.path.string(),
        ": holds no tokenizer (it was trained on token ids), so text cannot be read or written");
    set_num_threads(
        narrow<int>(loaded.recipe.parallel.threads.value_or(std::int64_t{available_cores()})));
    if (prompt_ == "-") {
      prompt_.assign(std::istreambuf_iterator<char>(std::cin), {});
    }
    options_.stop_token = loaded.tokenizer->eos_id();
    options_.vocab_size = loaded.tokenizer->vocab_size();
    write(loaded);
    return ExitCode::kDone;
  }

 private:
  void write(const LoadedModel& loaded) const {
    LanguageModel& model = loaded.language_model();
    const std::vector<std::int32_t> prompt = prompt_tokens(*loaded.tokenizer, prompt_);
    Utf8Stream text;
    const auto show = [&](const std::string& piece) {
      if (!json_) {
        std::cout << piece << std::flush;
      }
    };
    show(text.push(prompt_));
    const auto start = std::chrono::steady_clock::now();
    const std::vector<std::int32_t> tokens =
        generate(model, prompt, options_, [&](std::int32_t token) {
          if (!loaded.tokenizer->is_special(token)) {
            show(text.push(loaded.tokenizer->spelling(token)));
          }
        });
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    show(text.finish() + "\n");
    const bool full = std::ssize(tokens) == options_.max_tokens;
    const std::optional<std::int64_t> longest = model.longest_sequence();
    const bool context = !full && longest && std::ssize(prompt) + std::ssize(tokens) > *longest;
    if (json_) {
      Json result;
      result.set("checkpoint", loaded.path.string());
      result.set("step", loaded.step);
      result.set("prompt", prompt_);
      result.set("text", well_formed_utf8(loaded.tokenizer->decode(tokens)));
      result.set("tokens", Json::Array(tokens.begin(), tokens.end()));
      result.set("stop", full ? "max_tokens" : context ? "context" : "end_of_text");
      result.set("tokens_per_second", static_cast<double>(tokens.size()) / elapsed.count());
      std::cout << result.dump() << '\n';
    } else if (context) {
      std::cerr << "clausius: warning: ended after " << tokens.size()
                << " tokens: the model has positions for " << *longest << '\n';
    }
  }

  std::string checkpoint_;
  std::vector<std::string> overrides_;
  std::string prompt_;
  GenerationOptions options_;
  bool json_ = false;
};

CLS_COMMAND("generate", "continue a text with a trained model", GenerateCommand);

}  // namespace
}  // namespace clausius
