// SPDX-License-Identifier: Apache-2.0
// Sampling text from a language model.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/random.h"
#include "data/tokenizer/tokenizer.h"
#include "layers/models/model.h"

namespace clausius {

struct GenerationOptions {
  std::int64_t max_tokens = 128;
  /// 0 = the likeliest token each time.
  double temperature = 1.0;
  /// Only the k likeliest tokens; 0 = all.
  std::int64_t top_k = 0;
  /// Only the likeliest tokens whose probabilities reach p.
  double top_p = 1.0;
  std::uint64_t seed = 0;
  /// Ends the text when it is drawn.
  std::optional<std::int32_t> stop_token{};
  /// Only ids below it, where the model has rows that stand for nothing; 0 = all.
  std::int64_t vocab_size = 0;
};

/// Picks a token: logits / temperature, top_k, then top_p, then one uniform number from (seed, position).
/// Ties go to the lower id. Errors: ConfigError for options out of range; GuardError when a logit is NaN.
[[nodiscard]] std::int32_t sample_token(const Tensor& logits_V,
                                        const GenerationOptions& options,
                                        std::int64_t position);

/// Continues `prompt`, which must not be empty. `on_token` sees each new token at once. Keys and values (or states) are kept, so the cost
/// of a token does not include the ones before it beyond attention itself. Ends early at the stop token, and where the model can read
/// no longer sequence.
/// Errors:  ConfigError when the prompt alone is too long for the model; DataError for a token outside its vocabulary.
[[nodiscard]] std::vector<std::int32_t> generate(
    LanguageModel& model,
    const std::vector<std::int32_t>& prompt,
    const GenerationOptions& options,
    const std::function<void(std::int32_t)>& on_token = {});

}  // namespace clausius
