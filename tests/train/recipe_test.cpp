// SPDX-License-Identifier: Apache-2.0
// The recipe language as users meet it: what is refused and with which words, what is accepted, and the resolved recipe.
#include "train/recipe.h"

#include <fstream>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/config_file.h"
#include "core/config_help.h"
#include "core/io/yaml.h"
#include "tests/support/paths.h"
#include "train/recipe_changes.h"

namespace clausius {
namespace {

constexpr const char* kGood = R"(data: {kind: text, train: text/*.txt, context_length: 64}
model: {kind: decoder_lm, layers: 2, model_dim: 32, num_heads: 4}
optimizer: {kind: adamw, lr: 1.0e-3}
train: {steps: 10, batch_tokens: 256}
)";

Recipe parse(const std::string& text, const std::vector<std::string>& overrides = {}) {
  return parse_recipe(text, "r.yaml", "/recipes", overrides);
}

// Without what is accepted: those lists grow with the language (core/config_read_test.cpp checks one).
std::string without_lists(const std::string& message) {
  for (const char* start : {"; accepted: ", " accepted: ", "): "}) {
    if (const std::size_t at = message.find(start); at != std::string::npos) {
      return message.substr(0, at + (start[0] == ')' ? 1 : 0));
    }
  }
  return message;
}

std::string message_of(const std::string& text, const std::vector<std::string>& overrides = {}) {
  try {
    static_cast<void>(parse(text, overrides));
    return "accepted";
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.exit_code(), ExitCode::kUsage);
    return without_lists(error.what());
  }
}

// kGood with one piece of text replaced.
std::string changed(const std::string& from, const std::string& to) {
  std::string text = kGood;
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

TEST(Recipe, FewKeysMakeAWholeRun) {
  const Recipe recipe = parse(kGood);
  EXPECT_EQ(recipe.name, "r");
  EXPECT_EQ(recipe.seed, 1337);
  EXPECT_EQ(recipe.data.kind(), "text");
  EXPECT_EQ(recipe.schedule.kind(), "cosine");
  EXPECT_EQ(recipe.objective.kind(), "next_token");
  EXPECT_EQ(recipe.train.batch_tokens, 256);
  EXPECT_EQ(recipe.train.clip_norm, 1.0);
  EXPECT_EQ(recipe.model_context().context_length, 64);
  EXPECT_TRUE(recipe.warnings.empty());
}

TEST(Recipe, RefusesInWords) {
  const std::vector<std::pair<std::string, std::string>> table = {
      {changed("layers: 2", "layrs: 2"),
       "r.yaml:2:27: key 'model.layrs': unknown key; did you mean 'layers'?"},
      {changed("layers: 2, ", ""),
       "r.yaml:2:1: key 'model': missing required key 'layers' (blocks)"},
      {changed("model_dim: 32", "model_dim: -32"),
       "r.yaml:2:38: key 'model.model_dim': -32 is out of range; expected an integer >= 1"},
      {changed("num_heads: 4", "num_heads: 5"),
       "r.yaml:2:53: key 'model.num_heads': 5 heads do not divide model_dim 32; give head_dim, or "
       "choose a divisor"},
      {changed("num_heads: 4", "num_heads: 4, num_kv_heads: 3"),
       "r.yaml:2:67: key 'model.num_kv_heads': 3 does not divide num_heads 4"},
      {changed("num_heads: 4", "num_heads: 4, head_dim: 7"),
       "r.yaml:2:67: key 'model.head_dim': rope needs an even head_dim, not 7"},
      {changed("num_heads: 4", "num_heads: 4, position: [learned, rope]"),
       "r.yaml:2:67: key 'model.position': learned acts on the input of the model; it cannot stand "
       "in a per-layer pattern"},
      {changed("num_heads: 4", "num_heads: 4, mixer: [softmax, softmax, softmax]"),
       "r.yaml:2:67: key 'model.mixer': the pattern expands to 3 layers, which is neither 2 "
       "(layers) nor a divisor of it"},
      {changed("num_heads: 4", "num_heads: 4, mixer: {kind: softmax, windw: 8}"),
       "r.yaml:2:90: key 'model.mixer.windw': unknown key; did you mean 'window'?"},
      {changed("num_heads: 4", "num_heads: 4, mixer: sotfmax"),
       "r.yaml:2:67: key 'model.mixer': unknown kind 'sotfmax'; did you mean 'softmax'?"},
      {changed("num_heads: 4", "num_heads: 4, feed_forward: {kind: mlp, activation: gleu}"),
       "r.yaml:2:93: key 'model.feed_forward.activation': unknown kind 'gleu'; did you mean "
       "'gelu'?"},
      {changed("num_heads: 4", "num_heads: 4, feed_forward: {kind: swiglu, activation: silu}"),
       "r.yaml:2:96: key 'model.feed_forward.activation': 'activation' is a key of mlp, not of "
       "swiglu"},
      {changed("num_heads: 4", "n_head: 4"),
       "r.yaml:2:53: key 'model.n_head': unknown key; here it is called 'num_heads'"},
      {changed("context_length: 64", "block_size: 64"),
       "r.yaml:1:39: key 'data.block_size': unknown key; here it is called 'context_length'"},
      {changed("lr: 1.0e-3", "learning_rate: 1.0e-3"),
       "r.yaml:3:26: key 'optimizer.learning_rate': unknown key; here it is called 'lr'"},
      {changed("kind: adamw", "type: adamw"),
       "r.yaml:3:1: key 'optimizer': missing required key 'kind'"},
      {changed("lr: 1.0e-3", "lr: '1.0e-3'"),
       "r.yaml:3:26: key 'optimizer.lr': expected a number > 0, found the quoted text '1.0e-3'; "
       "take the quotes away"},
      {changed("lr: 1.0e-3", "lr: 1.0e-3, nesterov: true"),
       "r.yaml:3:38: key 'optimizer.nesterov': 'nesterov' is a key of sgd, not of adamw"},
      {changed("{kind: adamw, lr: 1.0e-3}", "adamw"),
       "r.yaml:3:1: key 'optimizer': missing required key 'lr' (learning rate at the peak of the "
       "schedule)"},
      {changed("batch_tokens: 256", "batch_tokens: 100"),
       "r.yaml:4:20: key 'train.batch_tokens': 100 is not a multiple of data.context_length 64"},
      {changed("batch_tokens: 256", "batch_tokens: 256, batch_samples: 4"),
       "r.yaml:4:20: key 'train.batch_tokens': give exactly one of batch_tokens, batch_samples"},
      {changed("steps: 10", "steps: 10, epochs: 1"),
       "r.yaml:4:9: key 'train.steps': give exactly one of steps, epochs, tokens"},
      {changed("steps: 10", "steps: 010"),
       "r.yaml:4:9: key 'train.steps': '010' starts with a zero; write 10 (octal would be 0o10)"},
      {changed("steps: 10", "steps: 10, clip_norm: no"),
       "r.yaml:4:20: key 'train.clip_norm': expected a number > 0, found 'no'"},
      {changed("steps: 10", "steps: 10, expect_divergence: yes"),
       "r.yaml:4:20: key 'train.expect_divergence': expected true or false, found 'yes'"},
      {kGood + std::string("train: {steps: 3}\n"),
       "r.yaml:5:1: duplicate key 'train'; it is also in line 4"},
      {kGood + std::string("<<: {seed: 1}\n"),
       "r.yaml:5:1: the merge key '<<'; write the keys out, or let the recipe extend another"},
      {kGood + std::string("device: cuda\n"),
       "r.yaml:5:1: key 'device': cuda is not available: this build has no CUDA backend, or the "
       "machine no device; use auto or cpu"},
      {kGood + std::string("precision: fp16\n"),
       "r.yaml:5:1: key 'precision': expected one of f32, bf16, found 'fp16'"},
      {kGood + std::string("seed: -1\n"),
       "r.yaml:5:1: key 'seed': -1 is out of range; expected an integer >= 0"},
      {kGood + std::string("name: 12\n"),
       "r.yaml:5:1: key 'name': expected text, found '12'; quote it"},
      {kGood + std::string("telemetry: {}\n"), "r.yaml:5:1: key 'telemetry': unknown key"},
      {kGood + std::string("schedule: {kind: cosine, warmup: 5 percent}\n"),
       "r.yaml:5:26: key 'schedule.warmup': expected a duration (100, 5%, 2 epochs or 1.0e9 "
       "tokens), found '5 percent'"},
      {kGood + std::string("monitor: {every: 0}\n"),
       "r.yaml:5:11: key 'monitor.every': 0 is out of range; expected an integer > 0"},
      {kGood + std::string("monitor: {on_alarm: {nonfinite: log}}\n"),
       "r.yaml:5:22: key 'monitor.on_alarm.nonfinite': a value that is not finite cannot only be "
       "logged; use stop, skip or rollback"},
      {kGood + std::string("monitor: {on_alarm: skip}\n"),
       "r.yaml:5:11: key 'monitor.on_alarm': skip leaves out the update of one step: for spike and "
       "nonfinite alone; name the alarm, {spike: skip}"},
      {kGood + std::string("monitor: {on_alarm: {overload: skip}}\n"),
       "r.yaml:5:22: key 'monitor.on_alarm.overload': skip leaves out the update of one step: for "
       "spike and nonfinite alone"},
      {kGood + std::string("monitor: {on_alarm: raise_temperature}\n"),
       "r.yaml:5:11: key 'monitor.on_alarm': raise_temperature is for collapse alone; name the "
       "alarm, {collapse: raise_temperature}"},
      {kGood + std::string("monitor: {on_alarm: {logit: raise_temperature}}\n"),
       "r.yaml:5:22: key 'monitor.on_alarm.logit': raise_temperature is for collapse alone"},
      {kGood + std::string("monitor: {on_alarm: {collapse: raise_temperature}}\n"),
       "r.yaml:5:22: key 'monitor.on_alarm.collapse': raise_temperature needs mixers that learn a "
       "temperature; give mixer.temperature"},
      {changed("num_heads: 4", "num_heads: 4, mixer: {kind: softmax, temperature: per_head}") +
           "monitor: {on_alarm: {collapse: raise_temperature}}\n",
       "accepted"},
      {kGood + std::string("monitor: {sink_above: null, on_alarm: {sink: stop}}\n"),
       "r.yaml:5:40: key 'monitor.on_alarm.sink': sink_above is null: the alarm is never raised"},
      {kGood + std::string("monitor: {sink_above: 1.5}\n"),
       "r.yaml:5:11: key 'monitor.sink_above': 1.5 is out of range; expected a number from 0 to 1"},
      {kGood + std::string("monitor: {observe: [sinks]}\n"),
       "r.yaml:5:21: key 'monitor.observe.0': expected one of update_norms, gradient_norms, "
       "activation_norms, low_rows, entropy_floor, sink_mass, gammas, spectral_norms, all, found "
       "'sinks'"},
      {kGood + std::string("monitor: {on_alarm: {spike: skip, nonfinite: rollback, sink: stop}, "
                           "observe: [all]}\n"),
       "accepted"},
      {kGood + std::string("monitor: {collapse_below: 0.96}\n"),
       "r.yaml:5:11: key 'monitor.collapse_below': 0.96 is not below overload_above 0.95"},
      {kGood + std::string("monitor: {bands: [0.5, 0.25]}\n"),
       "r.yaml:5:11: key 'monitor.bands': borders must rise"},
      {changed("context_length: 64", "context_length: 64, validation_ratio: 0") +
           "checkpoint: {keep_best: val_loss}\n",
       "r.yaml:5:14: key 'checkpoint.keep_best': there is no validation data that would produce "
       "this metric; give data.validation or data.validation_ratio"},
      {changed("context_length: 64",
               "context_length: 64, validation_ratio: 0.0, validation: v.txt"),
       "accepted"},
      {changed("context_length: 64",
               "context_length: 64, validation_ratio: 0.1, validation: v.txt"),
       "r.yaml:1:59: key 'data.validation_ratio': validation has sources of its own; take one of "
       "the two away"},
      {changed("num_heads: 4", "num_heads: 4, position: learned, context_length: 32"),
       "r.yaml:2:86: key 'model.context_length': learned positions end at 32, and the data has "
       "rows of 64 tokens"},
      {changed("num_heads: 4",
               "num_heads: 4, mixer: {kind: softmax, num_heads: 6, num_kv_heads: 4}"),
       "r.yaml:2:104: key 'model.mixer.num_kv_heads': 4 does not divide num_heads 6"},
      {changed("num_heads: 4",
               "num_heads: 4, mixer: {kind: softmax, dropout: 0.1, kernel: {engine: cudnn}}"),
       "r.yaml:2:90: key 'model.mixer.dropout': engine cudnn draws random numbers of its own; use "
       "0, or engine auto"},
      {changed("num_heads: 4",
               "num_heads: 4, mixer: {kind: softmax, window: 8, kernel: {engine: cudnn}}"),
       "r.yaml:2:90: key 'model.mixer.window': engine cudnn is not asked for windows; use null, or "
       "engine auto"},
      {changed("num_heads: 4",
               "num_heads: 4, mixer: {kind: softmax, head_dim: 12, kernel: {engine: cudnn}}"),
       "r.yaml:2:90: key 'model.mixer.head_dim': 12: engine cudnn takes multiples of 8 up to 128"},
      {changed("num_heads: 4", "num_heads: 4, mixer: {kind: softmax, head_dim: 5}"),
       "r.yaml:2:67: key 'model.mixer': rope needs an even head_dim, not 5"},
      {kGood + std::string("regularizers: {entropie: {}}\n"),
       "r.yaml:5:16: key 'regularizers.entropie': unknown key; did you mean 'entropy'?"},
      {kGood + std::string("regularizers: {entropy: {lambda: 0.1}}\n"),
       "r.yaml:5:26: key 'regularizers.entropy.lambda': unknown key; here it is called 'weight'"},
      {kGood + std::string("regularizers: {entropy: {weight: -0.1}}\n"),
       "r.yaml:5:26: key 'regularizers.entropy.weight': -0.1 is out of range; expected a number >= "
       "0"},
      {kGood + std::string("regularizers: {entropy: {skip_rows: 64}}\n"),
       "r.yaml:5:26: key 'regularizers.entropy.skip_rows': 64 rows of 64 leave none"},
      {kGood + std::string("regularizers: {entropy: {}}\n"), "accepted"},
      {"", "r.yaml: empty"},
      {"model: {kind: decoder_lm}\n",
       "r.yaml:1:1: missing required key 'data' (what the model learns from)"},
  };
  for (const auto& [text, message] : table) {
    EXPECT_EQ(message_of(text), message) << text;
  }
}

TEST(Recipe, OverridesAreReadLikeFiles) {
  const std::string listed =
      changed("num_heads: 4", "num_heads: 4, mixer: [softmax, {kind: softmax, window: 8}]");
  const Recipe recipe =
      parse(listed, {"model.layers=4", "schedule=constant", "model.mixer.1.window=16",
                     "train.steps=2.0e1", "name=other"});
  EXPECT_EQ(recipe.name, "other");
  EXPECT_EQ(recipe.train.steps, 20);
  EXPECT_EQ(recipe.schedule.kind(), "constant");
  EXPECT_THAT(to_yaml(recipe), testing::HasSubstr("window: 16"));
  EXPECT_EQ(
      message_of(kGood, {"model.layers=x"}),
      "command line: model.layers=x: key 'model.layers': expected an integer >= 1, found 'x'");
  EXPECT_EQ(message_of(kGood, {"model.num_heads=3"}),
            "command line: model.num_heads=3: key 'model.num_heads': 3 heads do not divide "
            "model_dim 32; give head_dim, or choose a divisor");
  EXPECT_EQ(message_of(kGood, {"train.batch_token=1"}),
            "command line: train.batch_token=1: key 'train.batch_token': unknown key; did you mean "
            "'batch_tokens'?");
}

TEST(Recipe, AResolvedRecipeIsAFixedPoint) {
  const std::string patterned =
      changed("num_heads: 4",
              "num_heads: 4, mixer: [{pattern: [{kind: softmax, window: 8}, softmax], repeat: 1}], "
              "norm: layer_norm, feed_forward: {kind: mlp, activation: relu}, position: [rope, "
              "{kind: none, repeat: rest}], bias: true, embedding_scale: sqrt_dim, init: small");
  for (const std::string& text :
       {std::string(kGood), patterned + "schedule: {kind: wsd, warmup: 2, decay: 10%}\n",
        kGood + std::string("optimizer_note: x\n").substr(18) +
            "monitor: {on_alarm: {collapse: stop}, logit_above: null}\nevaluate: {prompts: [\"In: "
            "the\", \"yes\"]}\n"}) {
    const Recipe recipe = parse(text);
    const std::string once = to_yaml(recipe);
    const Recipe again = parse_recipe(once, "elsewhere/other.yaml", "/elsewhere");
    EXPECT_EQ(to_yaml(again), once);
    EXPECT_TRUE(recipe_changes(recipe, again).empty());
    EXPECT_EQ(again.name, "r");
  }
}

TEST(Recipe, TheResolvedRecipeHasEveryKeyAndAbsolutePaths) {
  Recipe recipe = parse(kGood);
  const std::string unknown = to_yaml(recipe);
  EXPECT_THAT(unknown, testing::HasSubstr("- path: /recipes/text/*.txt\n"));
  EXPECT_THAT(unknown, testing::HasSubstr("vocab_size: auto\n"));
  EXPECT_THAT(unknown, testing::HasSubstr("context_length: 64\n"));
  EXPECT_THAT(unknown, testing::HasSubstr("hidden_dim: 96\n"));
  EXPECT_THAT(unknown, testing::HasSubstr("micro_batch: auto\n"));
  recipe.tokenizer_vocab_size = 257;
  EXPECT_THAT(to_yaml(recipe), testing::HasSubstr("vocab_size: 257\n"));
  const ConfigNode root = parse_yaml(unknown, std::make_shared<const ConfigSource>());
  for (const FieldSchema& field : recipe_schema()) {
    EXPECT_NE(root.find(field.key), nullptr) << field.key;
  }
}

// Whatever is typed, the answer is a recipe whose resolved form is a fixed point, or a ConfigError.
TEST(Recipe, SurvivesSlipsOfTheFingers) {
  const std::string alphabet = "{}[]:,#&*!|>'\"%@`-? \n\t0159.e+-_~abkmsz\x80\xff";
  std::mt19937 random(7);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random()) % n; };
  int accepted = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string text = kGood;
    for (std::size_t edits = 1 + below(3); edits > 0; --edits) {
      const std::size_t at = below(text.size());
      const char typed = alphabet[below(alphabet.size())];
      switch (below(3)) {
        case 0:
          text[at] = typed;
          break;
        case 1:
          text.insert(at, 1, typed);
          break;
        default:
          text.erase(at, 1 + below(4));
      }
    }
    try {
      const std::string once = to_yaml(parse(text));
      EXPECT_EQ(to_yaml(parse(once)), once) << text;
      ++accepted;
    } catch (const ConfigError& error) {
      EXPECT_THAT(error.what(), testing::StartsWith("r.yaml")) << text;
    }
  }
  EXPECT_GT(accepted, 20);
}

TEST(Recipe, WarnsWhereARunMayDiverge) {
  const Recipe recipe = parse(changed("num_heads: 4", "num_heads: 4, norm: none"));
  ASSERT_EQ(recipe.warnings.size(), 1U);
  EXPECT_EQ(recipe.warnings[0], "r.yaml:2:67: key 'model.norm': a model without norms may diverge");
}

TEST(Recipe, WarnsWhereARegularizerDoesNotDoWhatItSeems) {
  const auto warnings = [](const std::string& knobs) {
    return parse(kGood + ("regularizers: {entropy: {" + knobs + "}}\n")).warnings;
  };
  EXPECT_TRUE(warnings("tolerance: 0.4, threshold_init: 0.7").empty());
  ASSERT_EQ(warnings("tolerance: 0.7, threshold_init: 0.7").size(), 1U);
  EXPECT_THAT(warnings("tolerance: 0.7, threshold_init: 0.7")[0],
              testing::StartsWith("r.yaml:5:26: key 'regularizers.entropy.tolerance': "));
  ASSERT_EQ(warnings("reduction: sum").size(), 1U);
  EXPECT_EQ(warnings("reduction: sum")[0],
            "r.yaml:5:26: key 'regularizers.entropy.reduction': sum grows with the batch; mean "
            "keeps its strength");
}

TEST(Recipe, RegularizersAreOnByPresence) {
  EXPECT_TRUE(parse(kGood).model_context().regularizers.empty());
  EXPECT_TRUE(
      parse(kGood + std::string("regularizers: {entropy: null}\n")).regularizers.chosen().empty());
  const Recipe recipe = parse(kGood + std::string("regularizers: {entropy: {tolerance: 0.3}}\n"));
  ASSERT_EQ(recipe.model_context().regularizers.size(), 1U);
  EXPECT_EQ(recipe.model_context().regularizers[0].kind(), "entropy");
  const std::string once = to_yaml(recipe);
  EXPECT_THAT(once, testing::HasSubstr("tolerance: 0.3\n"));
  EXPECT_EQ(to_yaml(parse_recipe(once, "r.yaml", "/elsewhere")), once);
}

TEST(Recipe, SchemaNamesEveryKeyOnceWithASentence) {
  const std::vector<FieldSchema> fields = recipe_schema();
  for (const std::string& family : families_of(fields)) {
    for (const std::string_view kind : registry(family).kinds()) {
      const KindSchema schema = registry(family).describe(kind);
      EXPECT_FALSE(schema.doc.empty()) << family << " " << kind;
      std::vector<std::string> keys;
      for (const FieldSchema& field : schema.fields) {
        EXPECT_FALSE(field.doc.empty()) << family << " " << kind << " " << field.key;
        EXPECT_THAT(keys, testing::Not(testing::Contains(field.key))) << family << " " << kind;
        keys.push_back(field.key);
      }
    }
  }
  const Json schema = json_schema("recipe", fields);
  EXPECT_EQ(schema.at("required").dump(), R"(["data","model","optimizer","train"])");
  EXPECT_EQ(Json::parse(schema.dump(2), "schema"), schema);
}

TEST(Recipe, EveryRecipeThatComesAlongIsValid) {
  const std::vector<std::filesystem::path> recipes = list_recipes(test::source_dir() / "recipes");
  for (const std::filesystem::path& file : recipes) {
    const Recipe recipe = load_recipe(file, {"device=auto"});  // a GPU or not
    EXPECT_EQ(to_yaml(parse_recipe(to_yaml(recipe), "x.yaml", "/")), to_yaml(recipe)) << file;
    std::ifstream stream(file);
    EXPECT_EQ(stream.get(), '#') << file << " starts with a comment that says what it is for";
  }
}

TEST(RecipeChanges, ResumingMayChangeOnlyWhatLeavesTheFunctionAlone) {
  const Recipe before = parse(kGood);
  const Duration::Run run{.steps = 10};
  EXPECT_NO_THROW(check_resumable(
      before,
      parse(kGood,
            {"monitor.every=3", "checkpoint.keep_last=all", "parallel.threads=2", "device=cpu",
             "train.micro_batch=1", "train.recompute=block", "evaluate.every=5"}),
      5, run));
  const auto refusal = [&](const Recipe& from, const std::vector<std::string>& overrides,
                           std::int64_t step) -> std::string {
    try {
      check_resumable(from, parse(kGood, overrides), step, run);
      return "allowed";
    } catch (const ConfigError& error) {
      return error.what();
    }
  };
  EXPECT_EQ(refusal(before, {"optimizer.lr=2.0e-3", "seed=7"}, 5),
            "a resumed run cannot change optimizer.lr was 0.001, now 0.002; seed was 1337, now 7");
  EXPECT_EQ(refusal(before, {"train.steps=20"}, 5),
            "a resumed run cannot change train.steps was 10, now 20");
  EXPECT_EQ(refusal(before, {"schedule=linear"}, 5),
            "a resumed run cannot change schedule.final_ratio was 0.1, now 0.0; schedule.kind was "
            "cosine, now linear");
  EXPECT_EQ(
      refusal(parse(kGood, {"schedule=constant"}), {"schedule=constant", "train.steps=20"}, 9),
      "allowed");
  const std::vector<std::string> wsd = {"schedule={kind: wsd, decay: 30%}"};
  const std::vector<std::string> longer = {"schedule={kind: wsd, decay: 30%}", "train.steps=20"};
  EXPECT_EQ(refusal(parse(kGood, wsd), longer, 7), "allowed");
  EXPECT_EQ(refusal(parse(kGood, wsd), longer, 8),
            "a resumed run cannot change train.steps was 10, now 20");
}

}  // namespace
}  // namespace clausius
