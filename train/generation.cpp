// SPDX-License-Identifier: Apache-2.0
// Prefill, decode and the choice of tokens.
#include "train/generation.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

#include "core/checked.h"
#include "core/error.h"

namespace clausius {
namespace {

// Token ids by falling logit, at most `count` of them.
std::vector<std::int32_t> likeliest(std::span<const float> logits, std::int64_t count) {
  std::vector<std::int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto before = [&](std::int32_t a, std::int32_t b) {
    const float x = logits[static_cast<std::size_t>(a)];
    const float y = logits[static_cast<std::size_t>(b)];
    return x > y || (x == y && a < b);
  };
  const auto middle =
      order.begin() + std::min<std::int64_t>(count, static_cast<std::int64_t>(order.size()));
  std::partial_sort(order.begin(), middle, order.end(), before);
  order.erase(middle, order.end());
  return order;
}

void check_options(const GenerationOptions& options) {
  CLS_CHECK(options.temperature >= 0, ConfigError, "temperature ", options.temperature,
            "; expected 0 or more");
  CLS_CHECK(options.top_k >= 0, ConfigError, "top_k ", options.top_k, "; expected 0 (all) or more");
  CLS_CHECK(options.top_p > 0 && options.top_p <= 1, ConfigError, "top_p ", options.top_p,
            "; expected more than 0, at most 1");
}

// The last token is never read, so it may lie one beyond the longest sequence.
std::int64_t tokens_left(const LanguageModel& model, std::int64_t length, std::int64_t wanted) {
  const std::optional<std::int64_t> longest = model.longest_sequence();
  CLS_CHECK(!longest || length <= *longest, ConfigError, "the prompt has ", length,
            " tokens; the model was trained with learned positions for ", *longest);
  return longest ? std::min(wanted, *longest + 1 - length) : wanted;
}

}  // namespace

std::int32_t sample_token(const Tensor& logits_V,
                          const GenerationOptions& options,
                          std::int64_t position) {
  check_options(options);
  const Tensor logits = logits_V.to(Dtype::kF32).contiguous();
  const std::span<const float> values = logits.span<float>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    CLS_CHECK(!std::isnan(values[i]), GuardError, "the logit of token ", i, " is NaN");
  }
  if (options.temperature == 0) {
    return likeliest(values, 1).front();
  }
  const auto all = static_cast<std::int64_t>(values.size());
  const std::vector<std::int32_t> order =
      likeliest(values, options.top_k > 0 ? options.top_k : all);
  std::vector<double> weights;
  const double highest = values[static_cast<std::size_t>(order.front())];
  for (const std::int32_t token : order) {
    weights.push_back(
        std::exp((values[static_cast<std::size_t>(token)] - highest) / options.temperature));
  }
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  double kept = 0;
  std::size_t count = 0;
  while (count < weights.size() && (count == 0 || kept < options.top_p * total)) {
    kept += weights[count++];
  }
  const RandomStream stream{.seed = options.seed, .stream = stream_of("generate")};
  const PhiloxBlock words = stream.block(narrow<std::uint32_t>(position));
  double left = uniform_f64(words[0], words[1]) * kept;
  for (std::size_t i = 0; i + 1 < count; ++i) {
    left -= weights[i];
    if (left < 0) {
      return order[i];
    }
  }
  return order[count - 1];
}

std::vector<std::int32_t> generate(LanguageModel& model,
                                   const std::vector<std::int32_t>& prompt,
                                   const GenerationOptions& options,
                                   const std::function<void(std::int32_t)>& on_token) {
  check_options(options);
  CLS_CHECK(!prompt.empty(), ConfigError,
            "an empty prompt has no next token; give at least one token");
  const auto length = static_cast<std::int64_t>(prompt.size());
  const std::int64_t count = tokens_left(model, length, options.max_tokens);
  const std::unique_ptr<GenerationState> state = model.start(1, length + count);
  std::vector<std::int32_t> tokens;
  Tensor input = Tensor::from(prompt, {1, length});
  while (std::ssize(tokens) < count) {
    Tensor logits_V = model.next_logits(input, *state).select(0, 0);
    if (options.vocab_size > 0 && options.vocab_size < logits_V.size(0)) {
      logits_V = logits_V.slice(0, 0, options.vocab_size);
    }
    const std::int32_t token = sample_token(logits_V, options, std::ssize(tokens));
    if (options.stop_token == token) {
      break;
    }
    tokens.push_back(token);
    if (on_token) {
      on_token(token);
    }
    input = Tensor::from(std::vector<std::int32_t>{token}, {1, 1});
  }
  return tokens;
}

}  // namespace clausius
