// SPDX-License-Identifier: Apache-2.0
// Choosing tokens: greedy, top_k, top_p, ties, frequencies, determinism; and what a model is asked while it generates.
#include "train/generation.h"

#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/train/tiny_model.h"

namespace clausius {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

Tensor logits_of(const std::vector<float>& values) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())});
}

// How often each token is drawn at positions 0 .. count - 1.
std::map<std::int32_t, int> draw(const std::vector<float>& values,
                                 const GenerationOptions& options,
                                 int count) {
  const Tensor logits = logits_of(values);
  std::map<std::int32_t, int> drawn;
  for (int position = 0; position < count; ++position) {
    ++drawn[sample_token(logits, options, position)];
  }
  return drawn;
}

std::set<std::int32_t> tokens_drawn(const std::vector<float>& values,
                                    const GenerationOptions& options) {
  std::set<std::int32_t> tokens;
  for (const auto& [token, count] : draw(values, options, 300)) {
    tokens.insert(token);
  }
  return tokens;
}

using Tokens = std::set<std::int32_t>;

// Probabilities 1/8, 1/2, 1/8, 1/4.
const std::vector<float> kEighths = {0.0F, 2 * 0.693147181F, 0.0F, 0.693147181F};

TEST(SampleToken, TemperatureZeroTakesTheLikeliestAndTheLowestOfEquals) {
  const GenerationOptions greedy{.temperature = 0.0};
  EXPECT_EQ(sample_token(logits_of({-1.0F, 3.0F, 2.0F}), greedy, 0), 1);
  EXPECT_EQ(sample_token(logits_of({-1.0F, 3.0F, 3.0F}), greedy, 0), 1);
  EXPECT_EQ(sample_token(logits_of({5.0F, 5.0F, 5.0F}), greedy, 9), 0);
  EXPECT_EQ(sample_token(logits_of({-kInfinity, -2.0F}), greedy, 0), 1);
  EXPECT_EQ(sample_token(logits_of({7.0F}), greedy, 0), 0);
  EXPECT_EQ(sample_token(logits_of({-1.0F, 3.0F}).to(Dtype::kBf16), greedy, 0), 1);
}

TEST(SampleToken, TopKKeepsTheLikeliest) {
  EXPECT_EQ(tokens_drawn(kEighths, {.top_k = 1}), Tokens({1}));
  EXPECT_EQ(tokens_drawn(kEighths, {.top_k = 2}), Tokens({1, 3}));
  EXPECT_EQ(tokens_drawn(kEighths, {.top_k = 3}), Tokens({0, 1, 3}));  // of two equals the lower
  EXPECT_EQ(tokens_drawn(kEighths, {.top_k = 4}), Tokens({0, 1, 2, 3}));
  EXPECT_EQ(tokens_drawn(kEighths, {.top_k = 400}), Tokens({0, 1, 2, 3}));
  EXPECT_EQ(tokens_drawn(kEighths, {.top_k = 0}), Tokens({0, 1, 2, 3}));
}

// The likeliest tokens until their probabilities reach p, the one that reaches it included, and always one.
TEST(SampleToken, TopPKeepsTheLikeliestThatReachIt) {
  EXPECT_EQ(tokens_drawn(kEighths, {.top_p = 1e-9}), Tokens({1}));
  EXPECT_EQ(tokens_drawn(kEighths, {.top_p = 0.49}), Tokens({1}));
  EXPECT_EQ(tokens_drawn(kEighths, {.top_p = 0.51}), Tokens({1, 3}));
  EXPECT_EQ(tokens_drawn(kEighths, {.top_p = 0.74}), Tokens({1, 3}));
  EXPECT_EQ(tokens_drawn(kEighths, {.top_p = 0.76}), Tokens({0, 1, 3}));
  EXPECT_EQ(tokens_drawn(kEighths, {.top_p = 1.0}), Tokens({0, 1, 2, 3}));
  // Of four equals, exactly at the border.
  EXPECT_EQ(tokens_drawn({1.0F, 1.0F, 1.0F, 1.0F}, {.top_p = 0.5}), Tokens({0, 1}));
  // After top_k: of {1/2, 1/4}, 1/2 is two thirds.
  EXPECT_EQ(tokens_drawn(kEighths, {.top_k = 2, .top_p = 0.6}), Tokens({1}));
  EXPECT_EQ(tokens_drawn(kEighths, {.top_k = 2, .top_p = 0.7}), Tokens({1, 3}));
}

TEST(SampleToken, ExtremeLogitsAreNoTrouble) {
  EXPECT_EQ(tokens_drawn({-kInfinity, 0.0F, -kInfinity}, {}), Tokens({1}));
  EXPECT_EQ(tokens_drawn({kInfinity, 0.0F}, {}), Tokens({0}));
  EXPECT_EQ(tokens_drawn({1e30F, -1e30F}, {}), Tokens({0}));
  EXPECT_EQ(tokens_drawn({1.0F, 1.001F}, {.temperature = 1e-30}), Tokens({1}));
  EXPECT_EQ(tokens_drawn({1e3F, -1e3F}, {.temperature = 1e30}), Tokens({0, 1}));
}

// Counts stay within five standard deviations of what the probabilities say.
TEST(SampleToken, FrequenciesAreTheProbabilities) {
  constexpr int kDraws = 20000;
  const auto expect_shares = [&](const GenerationOptions& options,
                                 const std::vector<double>& shares) {
    const std::map<std::int32_t, int> drawn = draw(kEighths, options, kDraws);
    for (std::size_t token = 0; token < shares.size(); ++token) {
      const double p = shares[token];
      const auto found = drawn.find(static_cast<std::int32_t>(token));
      EXPECT_NEAR(found == drawn.end() ? 0 : found->second, kDraws * p,
                  5 * std::sqrt(kDraws * p * (1 - p)))
          << "token " << token;
    }
  };
  expect_shares({}, {0.125, 0.5, 0.125, 0.25});
  expect_shares({.seed = 77}, {0.125, 0.5, 0.125, 0.25});
  expect_shares({.temperature = 0.5}, {1.0 / 22, 16.0 / 22, 1.0 / 22, 4.0 / 22});
  expect_shares({.top_k = 2}, {0.0, 2.0 / 3, 0.0, 1.0 / 3});
  expect_shares({.top_p = 0.8}, {1.0 / 7, 4.0 / 7, 0.0, 2.0 / 7});
}

TEST(SampleToken, SeedAndPositionDecide) {
  const Tensor logits = logits_of(kEighths);
  const auto sequence = [&](std::uint64_t seed) {
    std::vector<std::int32_t> tokens;
    for (int position = 0; position < 64; ++position) {
      tokens.push_back(sample_token(logits, {.seed = seed}, position));
    }
    return tokens;
  };
  EXPECT_EQ(sequence(1), sequence(1));
  EXPECT_NE(sequence(1), sequence(2));
}

TEST(SampleToken, RefusesWhatMakesNoSense) {
  const Tensor logits = logits_of(kEighths);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const GenerationOptions& options : {GenerationOptions{.temperature = -0.1},
                                           {.temperature = nan},
                                           {.top_k = -1},
                                           {.top_p = 0.0},
                                           {.top_p = 1.01},
                                           {.top_p = nan}}) {
    EXPECT_THROW((void)sample_token(logits, options, 0), ConfigError);
  }
  EXPECT_THROW((void)sample_token(logits_of({0.0F, std::nanf("")}), {}, 0), GuardError);
  EXPECT_THROW((void)sample_token(logits_of({0.0F, std::nanf("")}), {.temperature = 0.0}, 0),
               GuardError);
}

// Says that the token after t is t + 1 modulo 5, and writes down what it was asked.
class Counter final : public LanguageModel {
 public:
  class State final : public GenerationState {
   public:
    [[nodiscard]] std::int64_t length() const override { return tokens; }
    std::int64_t tokens = 0;
  };

  explicit Counter(std::optional<std::int64_t> longest = std::nullopt) : longest_(longest) {}

  [[nodiscard]] ForwardLoss forward_loss(const Batch& /*batch*/,
                                         const ForwardOptions& /*options*/) override {
    return {};
  }
  [[nodiscard]] ParameterStore& parameters() override { return store_; }
  [[nodiscard]] std::vector<std::int64_t> heads_per_layer() const override { return {}; }
  [[nodiscard]] ForwardCost cost(std::int64_t /*context_length*/) const override { return {}; }
  [[nodiscard]] std::int64_t vocab_size() const override { return 5; }
  [[nodiscard]] std::int64_t context_length() const override { return 100; }
  [[nodiscard]] std::optional<std::int64_t> longest_sequence() const override { return longest_; }
  [[nodiscard]] Tensor logits(const Tensor& /*tokens_BT*/) override { return {}; }
  [[nodiscard]] std::unique_ptr<GenerationState> start(std::int64_t batch,
                                                       std::int64_t capacity) const override {
    EXPECT_EQ(batch, 1);
    capacities.push_back(capacity);
    return std::make_unique<State>();
  }
  [[nodiscard]] Tensor next_logits(const Tensor& tokens_BT, GenerationState& state) override {
    asked.push_back(tokens_BT.size(1));
    dynamic_cast<State&>(state).tokens += tokens_BT.size(1);
    Tensor logits = Tensor::zeros({1, 5}, Dtype::kF32);
    const std::int32_t last = tokens_BT.span<std::int32_t>().back();
    logits.span<float>()[static_cast<std::size_t>((last + 1) % 5)] = 1.0F;
    return logits;
  }

  mutable std::vector<std::int64_t> capacities;
  std::vector<std::int64_t> asked;

 private:
  std::optional<std::int64_t> longest_;
  ParameterStore store_;
};

TEST(Generate, ReadsThePromptOnceThenTokenByToken) {
  Counter model;
  std::vector<std::int32_t> seen;
  const std::vector<std::int32_t> tokens =
      generate(model, {4, 0, 1}, {.max_tokens = 4, .temperature = 0.0},
               [&](std::int32_t token) { seen.push_back(token); });
  EXPECT_EQ(tokens, (std::vector<std::int32_t>{2, 3, 4, 0}));
  EXPECT_EQ(seen, tokens);
  EXPECT_EQ(model.asked, (std::vector<std::int64_t>{3, 1, 1, 1}));
  ASSERT_EQ(model.capacities.size(), 1U);
  EXPECT_GE(model.capacities[0], 6);
}

TEST(Generate, EndsBeforeTheStopToken) {
  Counter model;
  const GenerationOptions options{.max_tokens = 50, .temperature = 0.0, .stop_token = 0};
  EXPECT_EQ(generate(model, {1}, options), (std::vector<std::int32_t>{2, 3, 4}));
  EXPECT_EQ(generate(model, {4}, options), (std::vector<std::int32_t>{}));
  EXPECT_EQ(generate(model, {0}, {.max_tokens = 0}), (std::vector<std::int32_t>{}));
  EXPECT_THROW((void)generate(model, {}, options), ConfigError);
}

// Learned positions end; the last token is never read, so there is one more of them.
TEST(Generate, EndsWhereTheModelCanReadNoFurther) {
  Counter model(4);
  const GenerationOptions options{.max_tokens = 50, .temperature = 0.0};
  EXPECT_EQ(generate(model, {0, 1}, options), (std::vector<std::int32_t>{2, 3, 4}));
  EXPECT_EQ(generate(model, {0, 1, 2, 3}, options), (std::vector<std::int32_t>{4}));
  EXPECT_THROW((void)generate(model, {0, 1, 2, 3, 4}, options), ConfigError);
}

TEST(Generate, RowsThatStandForNothingAreNeverDrawn) {
  Counter model;
  EXPECT_EQ(generate(model, {1}, {.max_tokens = 3, .temperature = 0.0, .vocab_size = 3}),
            (std::vector<std::int32_t>{2, 0, 1}));
}

// What the running state answers is what a forward pass over the whole text says.
TEST(Generate, GreedyTextIsThatOfTheFullPass) {
  const auto model = test::make_tiny_model(Dtype::kF64);
  const std::vector<std::int32_t> prompt = {3, 1, 4};
  const std::vector<std::int32_t> tokens =
      generate(*model, prompt, {.max_tokens = 4, .temperature = 0.0});
  std::vector<std::int32_t> text = prompt;
  for (const std::int32_t token : tokens) {
    const auto length = static_cast<std::int64_t>(text.size());
    const Tensor logits = model->logits(Tensor::from(text, {1, length}));
    EXPECT_EQ(sample_token(logits.select(0, 0).select(0, length - 1), {.temperature = 0.0}, 0),
              token);
    text.push_back(token);
  }
  EXPECT_EQ(text.size(), 7U);
}

}  // namespace
}  // namespace clausius
