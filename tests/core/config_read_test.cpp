// SPDX-License-Identifier: Apache-2.0
// Strict reading of every member type: what is accepted, every message, and the way back to YAML and schema.
#include <map>
#include <memory>

#include <gtest/gtest.h>

#include "core/config_duration.h"
#include "core/config_file.h"
#include "core/config_help.h"
#include "core/config_path.h"
#include "core/config_pattern.h"
#include "core/io/yaml.h"

namespace clausius {

struct Workshop {
  std::int64_t benches = 0;
};

class Tool {
 public:
  virtual ~Tool() = default;
};

template <>
struct RegistryTraits<Tool> {
  static constexpr std::string_view kFamily = "tool";
  using Context = Workshop;
  using Make = std::unique_ptr<Tool>(const Workshop&);
};

namespace {

struct HammerConfig {
  static constexpr std::string_view kDoc = "drives nails";
  double weight = 0.5;
  void visit(ConfigVisitor& v) { v.field("weight", weight, "in kilograms", positive); }
};
struct SawConfig {
  static constexpr std::string_view kDoc = "cuts boards";
  std::int64_t teeth = 0;
  std::optional<std::int64_t> benches;
  void visit(ConfigVisitor& v, const Workshop& shop) {
    v.required("teeth", teeth, "how many", at_least(2));
    v.derived(
        "benches", benches, [&] { return shop.benches; }, "the workshop's", "benches it needs",
        at_least(1));
  }
  void validate(const ConfigCheck& check, const Workshop& shop) const {
    check.that(*benches <= shop.benches, "benches", *benches,
               " benches are more than the workshop's ", shop.benches);
    check.warn_unless(teeth < 100, "teeth", "a fine saw");
  }
};
struct Hammer final : Tool {
  Hammer(const HammerConfig& /*config*/, const Workshop& /*shop*/) {}
};
struct Saw final : Tool {
  Saw(const SawConfig& /*config*/, const Workshop& /*shop*/) {}
};
CLS_REGISTER(Tool, "hammer", Hammer, HammerConfig);
CLS_REGISTER(Tool, "saw", Saw, SawConfig);

enum class Color { kRed, kGreen, kDarkBlue };
constexpr auto words_of(Color /*unused*/) {
  return words("red", "green", "dark_blue");
}
enum class Everything { kAll };
constexpr auto words_of(Everything /*unused*/) {
  return words("all");
}

struct Clip {
  double threshold = 100.0;
  void visit(ConfigVisitor& v) { v.field("threshold", threshold, "largest value", positive); }
};
struct Source {
  static constexpr std::string_view kShortKey = "path";
  std::filesystem::path path;
  double weight = 1.0;
  void visit(ConfigVisitor& v) {
    v.required("path", path, "a file");
    v.field("weight", weight, "share", positive);
  }
};
struct Smooth {
  static constexpr std::string_view kKind = "smooth";
  static constexpr std::string_view kDoc = "polished";
  std::int64_t passes = 1;
  void visit(ConfigVisitor& v) { v.field("passes", passes, "how often", at_least(1)); }
};

struct Everyday {
  std::int64_t layers = 0;
  double rate = 0.1;
  bool bias = false;
  std::string label = "none yet";
  std::filesystem::path folder = "/tmp";
  Duration every = Duration::steps(10);
  Color color = Color::kRed;
  std::optional<std::int64_t> window;
  Auto<std::int64_t> threads;
  std::optional<std::int64_t> width;
  Auto<double> scale;
  std::vector<double> shares = {0.5};
  std::array<double, 2> betas = {0.9, 0.95};
  OneOrMany<Color> colors = {Color::kRed};
  std::variant<bool, std::vector<Color>> parts = false;
  std::variant<Everything, std::int64_t> keep = std::int64_t{3};
  std::map<Color, std::int64_t> counts;
  std::optional<Clip> clip;
  std::variant<NoKind, Smooth> finish;
  OneOrMany<Source> sources;
  Choice<Tool> tool{"hammer"};
  Pattern<Tool> tools{"hammer"};

  void visit(ConfigVisitor& v) {
    v.required("layers", layers, "how deep", at_least(1));
    v.field("rate", rate, "how fast", zero_to_one);
    v.field("bias", bias, "added at the end");
    v.field("label", label, "a name");
    v.field("folder", folder, "a place");
    v.field("every", every, "a cadence", positive);
    v.field("color", color, "of the paint");
    v.field("window", window, "how far back; null = all", at_least(1));
    v.field("threads", threads, "workers", at_least(1));
    v.derived(
        "width", width, [&] { return 2 * layers; }, "2 layers", "how wide", at_least(1));
    v.derived(
        "scale", scale, [&] { return 1.0 / static_cast<double>(layers); }, "1 / layers", "a factor",
        positive);
    v.field("shares", shares, "parts", zero_to_one);
    v.field("betas", betas, "two decays", zero_to_one);
    v.field("colors", colors, "one or more");
    v.field("parts", parts, "all, none or some");
    v.field("keep", keep, "how many", at_least(1));
    v.field("counts", counts, "by color", at_least(0));
    v.field("clip", clip, "on by presence");
    v.field("finish", finish, "of the surface");
    v.field("sources", sources, "where from");
    const Workshop shop{layers};
    v.field_in(shop, "tool", tool, "the one tool");
    v.field_in(PerLayer{layers, shop}, "tools", tools, "a tool a layer");
  }
};

Everyday read(const std::string& text,
              ReadLog* log = nullptr,
              const std::vector<std::string>& overrides = {}) {
  const auto source = std::make_shared<const ConfigSource>(ConfigSource{"r.yaml", "/recipes"});
  Everyday config;
  ReadLog ignored;
  read_config(parse_config(text, source, overrides), config, log == nullptr ? ignored : *log);
  return config;
}

std::string message_of(const std::string& text, const std::vector<std::string>& overrides = {}) {
  try {
    static_cast<void>(read(text, nullptr, overrides));
    return "accepted";
  } catch (const ConfigError& error) {
    return error.what();
  }
}

TEST(ConfigRead, Defaults) {
  const Everyday config = read("layers: 4");
  EXPECT_EQ(config.layers, 4);
  EXPECT_EQ(config.width, 8);
  EXPECT_EQ(config.scale, 0.25);
  EXPECT_TRUE(config.threads.is_auto());
  EXPECT_EQ(config.clip, std::nullopt);
}

TEST(ConfigRead, EveryType) {
  const Everyday config = read(R"(
layers: 2.0e0
rate: 1
bias: true
label: "12"
folder: data/../x
every: 5%
color: dark_blue
window: null
threads: 0x10
width: 0o17
scale: auto
shares: []
betas: [0.5, 1.0e-1]
colors: green
parts: [red, green]
keep: all
counts: {green: 2, red: 1}
clip: {}
finish: smooth
sources: [a.txt, {path: /b.txt, weight: 2.5}]
tool: {kind: saw, teeth: 7}
tools: [{kind: saw, teeth: 3}, hammer]
)");
  EXPECT_EQ(config.layers, 2);
  EXPECT_EQ(config.rate, 1.0);
  EXPECT_TRUE(config.bias);
  EXPECT_EQ(config.label, "12");
  EXPECT_EQ(config.folder, "/recipes/x");
  EXPECT_EQ(config.every, Duration::percent(5));
  EXPECT_EQ(config.color, Color::kDarkBlue);
  EXPECT_EQ(config.threads, 16);
  EXPECT_EQ(config.width, 15);
  EXPECT_EQ(config.scale, 0.5);
  EXPECT_TRUE(config.shares.empty());
  EXPECT_EQ(config.betas[1], 0.1);
  EXPECT_EQ(config.colors.at(0), Color::kGreen);
  EXPECT_EQ(std::get<1>(config.parts).size(), 2U);
  EXPECT_EQ(std::get<0>(config.keep), Everything::kAll);
  EXPECT_EQ(config.counts.at(Color::kGreen), 2);
  EXPECT_EQ(config.clip->threshold, 100.0);
  EXPECT_EQ(std::get<Smooth>(config.finish).passes, 1);
  EXPECT_EQ(config.sources.at(0).path, "/recipes/a.txt");
  EXPECT_EQ(config.sources.at(1).weight, 2.5);
  EXPECT_EQ(config.tool.get_if<SawConfig>()->teeth, 7);
  EXPECT_EQ(config.tool.get_if<SawConfig>()->benches, 2);
  EXPECT_EQ(config.tools.expand(2)[1].kind(), "hammer");
}

TEST(ConfigRead, Messages) {
  const std::vector<std::pair<std::string, std::string>> table = {
      // keys
      {"layrs: 4",
       "r.yaml:1:1: key 'layrs': unknown key; did you mean 'layers'? accepted: layers, rate, bias, "
       "label, folder, "
       "every, color, window, threads, width, scale, shares, betas, colors, parts, keep, counts, "
       "clip, finish, "
       "sources, tool, tools"},
      {"layers: 1\nclip: {treshold: 1}",
       "r.yaml:2:8: key 'clip.treshold': unknown key; did you mean 'threshold'? accepted: "
       "threshold"},
      {"layers: 1\nclip: {zzz: 1}", "r.yaml:2:8: key 'clip.zzz': unknown key; accepted: threshold"},
      {"n_layer: 4",
       "r.yaml:1:1: key 'n_layer': unknown key; here it is called 'layers'; accepted: layers, "
       "rate, bias, label, "
       "folder, every, color, window, threads, width, scale, shares, betas, colors, parts, keep, "
       "counts, clip, "
       "finish, sources, tool, tools"},
      {"rate: 0.1", "r.yaml:1:1: missing required key 'layers' (how deep): an integer >= 1"},
      {"layers: 1\nlayers: 2", "r.yaml:2:1: duplicate key 'layers'; it is also in line 1"},
      {"[1, 2]", "r.yaml:1:1: expected a map, found a list"},
      // numbers
      {"layers: '4'",
       "r.yaml:1:1: key 'layers': expected an integer >= 1, found the quoted text '4'; take the "
       "quotes away"},
      {"layers: x", "r.yaml:1:1: key 'layers': expected an integer >= 1, found 'x'"},
      {"layers: -1", "r.yaml:1:1: key 'layers': -1 is out of range; expected an integer >= 1"},
      {"layers: 0", "r.yaml:1:1: key 'layers': 0 is out of range; expected an integer >= 1"},
      {"layers: 2.5",
       "r.yaml:1:1: key 'layers': expected an integer >= 1, found '2.5', which is no exact "
       "integer"},
      {"layers: 1.0e17",
       "r.yaml:1:1: key 'layers': expected an integer >= 1, found '1.0e17', which is no exact "
       "integer"},
      {"layers: .inf",
       "r.yaml:1:1: key 'layers': expected an integer >= 1, found '.inf', which is no exact "
       "integer"},
      {"layers: 010",
       "r.yaml:1:1: key 'layers': '010' starts with a zero; write 10 (octal would be 0o10)"},
      {"layers: 1_000", "r.yaml:1:1: key 'layers': expected an integer >= 1, found '1_000'"},
      {"layers: 99999999999999999999",
       "r.yaml:1:1: key 'layers': '99999999999999999999' does not fit 64 bits"},
      {"layers: true", "r.yaml:1:1: key 'layers': expected an integer >= 1, found 'true'"},
      {"layers: null", "r.yaml:1:1: key 'layers': expected an integer >= 1, found null"},
      {"layers: [4]", "r.yaml:1:1: key 'layers': expected an integer >= 1, found a list"},
      {"layers: 1\nrate: 1.5",
       "r.yaml:2:1: key 'rate': 1.5 is out of range; expected a number from 0 to 1"},
      {"layers: 1\nrate: .nan",
       "r.yaml:2:1: key 'rate': expected a number from 0 to 1, found '.nan', which is no finite "
       "double"},
      {"layers: 1\nrate: 1e999",
       "r.yaml:2:1: key 'rate': expected a number from 0 to 1, found '1e999', which is no finite "
       "double"},
      {"layers: 1\nrate: '0.1'",
       "r.yaml:2:1: key 'rate': expected a number from 0 to 1, found the quoted text '0.1'; take "
       "the quotes away"},
      // flags, text, paths
      {"layers: 1\nbias: yes", "r.yaml:2:1: key 'bias': expected true or false, found 'yes'"},
      {"layers: 1\nbias: True", "r.yaml:2:1: key 'bias': expected true or false, found 'True'"},
      {"layers: 1\nbias: 1", "r.yaml:2:1: key 'bias': expected true or false, found '1'"},
      {"layers: 1\nbias: 'true'",
       "r.yaml:2:1: key 'bias': expected true or false, found the quoted text 'true'; take the "
       "quotes away"},
      {"layers: 1\nlabel: 12", "r.yaml:2:1: key 'label': expected text, found '12'; quote it"},
      {"layers: 1\nlabel: {a: b}", "r.yaml:2:1: key 'label': expected text, found a map"},
      {"layers: 1\nfolder: ~/x",
       "r.yaml:2:1: key 'folder': '~/x': paths know no ~ and no environment variables; write the "
       "path out"},
      {"layers: 1\nfolder: $HOME",
       "r.yaml:2:1: key 'folder': '$HOME': paths know no ~ and no environment variables; write the "
       "path out"},
      {"layers: 1\nfolder: ''", "r.yaml:2:1: key 'folder': expected a path, found empty text"},
      {"layers: 1\nfolder: 7", "r.yaml:2:1: key 'folder': expected a path, found '7'"},
      // durations
      {"layers: 1\nevery: 5 %",
       "r.yaml:2:1: key 'every': expected a duration (100, 5%, 2 epochs or 1.0e9 tokens), found '5 "
       "%'"},
      {"layers: 1\nevery: 3 weeks",
       "r.yaml:2:1: key 'every': expected a duration (100, 5%, 2 epochs or 1.0e9 tokens), found '3 "
       "weeks'"},
      {"layers: 1\nevery: '100'",
       "r.yaml:2:1: key 'every': expected a duration (100, 5%, 2 epochs or 1.0e9 tokens), found "
       "the quoted text '100'; take the "
       "quotes away"},
      {"layers: 1\nevery: '5%'", "accepted"},
      {"layers: 1\nevery: 0",
       "r.yaml:2:1: key 'every': 0 is out of range; expected an integer > 0"},
      {"layers: 1\nevery: -5%",
       "r.yaml:2:1: key 'every': -5 is out of range; expected a number > 0 and <= 100"},
      {"layers: 1\nevery: 120%",
       "r.yaml:2:1: key 'every': 120 is out of range; expected a number > 0 and <= 100"},
      {"layers: 1\nevery: 1.5",
       "r.yaml:2:1: key 'every': expected an integer > 0, found '1.5', which is no exact integer"},
      // words
      {"layers: 1\ncolor: gren",
       "r.yaml:2:1: key 'color': expected one of red, green, dark_blue, found 'gren'; did you mean "
       "'green'?"},
      {"layers: 1\ncolor: 3",
       "r.yaml:2:1: key 'color': expected one of red, green, dark_blue, found '3'"},
      {"layers: 1\ncolor: null",
       "r.yaml:2:1: key 'color': expected one of red, green, dark_blue, found null"},
      // null, auto, derived
      {"layers: 1\nwindow: none",
       "r.yaml:2:1: key 'window': expected an integer >= 1, found 'none'"},
      {"layers: 1\nwindow: auto",
       "r.yaml:2:1: key 'window': expected an integer >= 1, found 'auto'"},
      {"layers: 1\nthreads: null",
       "r.yaml:2:1: key 'threads': expected an integer >= 1, found null"},
      {"layers: 1\nwidth: auto", "r.yaml:2:1: key 'width': expected an integer >= 1, found 'auto'"},
      {"layers: 1\nwidth: null", "r.yaml:2:1: key 'width': expected an integer >= 1, found null"},
      // lists
      {"layers: 1\nshares: 0.5",
       "r.yaml:2:1: key 'shares': expected a list, each a number from 0 to 1, found '0.5'"},
      {"layers: 1\nshares: [0.5, 2]",
       "r.yaml:2:15: key 'shares.1': 2 is out of range; expected a number from 0 to 1"},
      {"layers: 1\nbetas: [0.5]",
       "r.yaml:2:1: key 'betas': expected a list of 2 entries, each a number from 0 to 1, found 1"},
      {"layers: 1\ncolors: [red, blue]",
       "r.yaml:2:15: key 'colors.1': expected one of red, green, dark_blue, found 'blue'"},
      {"layers: 1\nparts: 3",
       "r.yaml:2:1: key 'parts': expected true or false or a list, each one of red, green, "
       "dark_blue, found '3'"},
      {"layers: 1\nkeep: 0", "r.yaml:2:1: key 'keep': 0 is out of range; expected an integer >= 1"},
      {"layers: 1\nkeep: some",
       "r.yaml:2:1: key 'keep': expected 'all' or an integer >= 1, found 'some'"},
      {"layers: 1\ncounts: {blu: 1}",
       "r.yaml:2:10: key 'counts.blu': expected one of red, green, dark_blue, found 'blu'"},
      {"layers: 1\ncounts: [1]", "r.yaml:2:1: key 'counts': expected a map, found a list"},
      // blocks
      {"layers: 1\nclip: true", "r.yaml:2:1: key 'clip': expected a map, found 'true'"},
      {"layers: 1\nclip: {threshold: 0}",
       "r.yaml:2:8: key 'clip.threshold': 0 is out of range; expected a number > 0"},
      {"layers: 1\nsources: [{weight: 2}]",
       "r.yaml:2:11: key 'sources.0': missing required key 'path' (a file): a path"},
      {"layers: 1\nsources: [a, {path: b, wieght: 2}]",
       "r.yaml:2:24: key 'sources.1.wieght': unknown key; did you mean 'weight'? accepted: path, "
       "weight"},
      // choices
      {"layers: 1\ntool: hamer",
       "r.yaml:2:1: key 'tool': unknown kind 'hamer'; did you mean 'hammer'? accepted: hammer, "
       "saw"},
      {"layers: 1\ntool: {kind: axe}",
       "r.yaml:2:8: key 'tool.kind': unknown kind 'axe'; accepted: hammer, saw"},
      {"layers: 1\ntool: saw",
       "r.yaml:2:1: key 'tool': missing required key 'teeth' (how many): an integer >= 2"},
      {"layers: 1\ntool: {kind: saw, weight: 1}",
       "r.yaml:2:19: key 'tool.weight': 'weight' is a key of hammer, not of saw; accepted: kind, "
       "teeth, benches"},
      {"layers: 1\ntool: {type: saw}",
       "r.yaml:2:8: key 'tool.type': unknown key; here it is called 'kind'; accepted: kind, "
       "weight"},
      {"layers: 1\ntool: null",
       "r.yaml:2:1: key 'tool': expected one of hammer, saw, or a map with one of them as its "
       "'kind', found null; write none for off"},
      {"layers: 1\ntool: [saw]",
       "r.yaml:2:1: key 'tool': expected one of hammer, saw, or a map with one of them as its "
       "'kind', found a list"},
      {"layers: 1\nfinish: {kind: none, passes: 2}",
       "r.yaml:2:22: key 'finish.passes': 'passes' is a key of smooth, not of none; accepted: "
       "kind"},
      {"layers: 2\ntool: {kind: saw, teeth: 3, benches: 3}",
       "r.yaml:2:29: key 'tool.benches': 3 benches are more than the workshop's 2"},
      // patterns
      {"layers: 4\ntools: [hammer, hammer, hammer]",
       "r.yaml:2:1: key 'tools': the pattern expands to 3 layers, which is neither 4 (layers) nor "
       "a divisor of it"},
      {"layers: 2\ntools: [{kind: hammer, repeat: 4}]",
       "r.yaml:2:1: key 'tools': the pattern expands to 4 layers, which is neither 2 (layers) nor "
       "a divisor of it"},
      {"layers: 2\ntools: [{kind: hammer, repeat: 3}, {kind: hammer, repeat: rest}]",
       "r.yaml:2:1: key 'tools': the pattern takes 3 layers without its rest of 1 each; there are "
       "2"},
      {"layers: 4\ntools: [hammer, {pattern: [hammer, hammer], repeat: rest}]",
       "r.yaml:2:1: key 'tools': the pattern takes 1 layers without its rest of 2 each; there are "
       "4"},
      {"layers: 4\ntools: [{kind: hammer, repeat: rest}, {kind: hammer, repeat: rest}]",
       "r.yaml:2:39: key 'tools.1': 'repeat: rest' may stand once in a pattern"},
      {"layers: 4\ntools: [{pattern: [{kind: hammer, repeat: rest}]}]",
       "r.yaml:2:35: key 'tools.0.pattern.0.repeat': 'rest' stands only in the outermost list"},
      {"layers: 4\ntools: [{kind: hammer, repeat: 0}]",
       "r.yaml:2:24: key 'tools.0.repeat': 0 is out of range; expected an integer from 1 to "
       "1000000"},
      {"layers: 4\ntools: [{kind: hammer, repeat: many}]",
       "r.yaml:2:24: key 'tools.0.repeat': expected an integer >= 1 or 'rest', found 'many'"},
      {"layers: 4\ntools: [{pattern: [hammer], wieght: 2}]",
       "r.yaml:2:29: key 'tools.0.wieght': unknown key; accepted: pattern, repeat"},
      {"layers: 4\ntools: [{weight: 2}]",
       "r.yaml:2:9: key 'tools.0': missing required key 'kind'; accepted: hammer, saw"},
      {"layers: 4\ntools: []",
       "r.yaml:2:1: key 'tools': expected a list with at least one entry, found an empty list"},
      {"layers: 4\ntools: {kind: hammer, repeat: 2}",
       "r.yaml:2:23: key 'tools.repeat': unknown key; accepted: kind, weight"},
  };
  for (const auto& [text, message] : table) {
    EXPECT_EQ(message_of(text), message) << text;
  }
}

TEST(ConfigRead, OverridesAreNamedAsWritten) {
  const std::string text = "layers: 4\ntools: [hammer, {kind: saw, teeth: 3}]\n";
  EXPECT_EQ(message_of(text, {"layers=x"}),
            "command line: layers=x: key 'layers': expected an integer >= 1, found 'x'");
  EXPECT_EQ(message_of(text, {"tools.1.teth=4"}),
            "command line: tools.1.teth=4: key 'tools.1.teth': unknown key; did you mean 'teeth'? "
            "accepted: kind, teeth, benches");
  EXPECT_EQ(read(text, nullptr, {"tools.1.teeth=9"}).tools.choices()[1].get_if<SawConfig>()->teeth,
            9);
  EXPECT_EQ(read(text, nullptr, {"tool.weight=2"}).tool.get_if<HammerConfig>()->weight, 2.0);
  EXPECT_EQ(read(text, nullptr, {"folder=here"}).folder, std::filesystem::current_path() / "here");
}

TEST(ConfigRead, Warns) {
  ReadLog log;
  static_cast<void>(read("layers: 1\ntool: {kind: saw, teeth: 200}", &log));
  ASSERT_EQ(log.warnings.size(), 1U);
  EXPECT_EQ(log.warnings[0], "r.yaml:2:19: key 'tool.teeth': a fine saw");
}

TEST(ConfigRead, PatternsNestAndCycle) {
  const Everyday config = read(
      "layers: 9\ntools: [{pattern: [{kind: hammer, repeat: 3}, {kind: saw, teeth: 2}], repeat: "
      "2}, {kind: saw, teeth: 5}]");
  std::string kinds;
  for (const Choice<Tool>& tool : config.tools.expand(9)) {
    kinds += tool.kind() == "saw" ? 's' : 'h';
  }
  EXPECT_EQ(kinds, "hhhshhhss");
  EXPECT_EQ(config.tools.expand(18)[17].get_if<SawConfig>()->teeth, 5);
  const Everyday rest =
      read("layers: 5\ntools: [{kind: saw, teeth: 2}, {kind: hammer, repeat: rest}]");
  EXPECT_EQ(rest.tools.expand(5)[4].kind(), "hammer");
  EXPECT_EQ(read("layers: 1\ntools: [{kind: saw, teeth: 2}, {kind: hammer, repeat: rest}]")
                .tools.expand(1)
                .size(),
            1U);
}

// What resolving writes reads back to the same, in long form.
TEST(ConfigRead, ResolvedTextIsAFixedPoint) {
  for (const std::string text :
       {"layers: 4",
        "layers: 2\nrate: 0.3\nlabel: 'no'\nevery: 2 epochs\nwindow: 8\nscale: 3\ncolors: [red, "
        "green]\n"
        "parts: true\nkeep: all\ncounts: {red: 1}\nclip: {threshold: 2}\nfinish: smooth\nsources: "
        "a.txt\n"
        "tools: [{pattern: [hammer], repeat: 1}, {kind: saw, teeth: 4, repeat: rest}]"}) {
    const std::string once = to_yaml(write_config(read(text)));
    EXPECT_EQ(to_yaml(write_config(read(once))), once);
  }
  EXPECT_EQ(to_yaml(write_config(read("layers: 2\nsources: a.txt\nfinish: smooth\nevery: 1.0e3\n"
                                      "tools: [{kind: saw, teeth: 4, repeat: rest}]"))),
            R"(layers: 2
rate: 0.1
bias: false
label: none yet
folder: /tmp
every: 1000
color: red
window: null
threads: auto
width: 4
scale: 0.5
shares: [0.5]
betas: [0.9, 0.95]
colors: [red]
parts: false
keep: 3
counts: {}
clip: null
finish:
  kind: smooth
  passes: 1
sources:
  - path: /recipes/a.txt
    weight: 1.0
tool:
  kind: hammer
  weight: 0.5
tools:
  - kind: saw
    teeth: 4
    benches: 2
    repeat: rest
)");
}

TEST(ConfigHelp, TextNamesTypesDefaultsAndKinds) {
  Everyday config;
  const NoContext none;
  detail::BlockOf block(config, none);
  const std::vector<FieldSchema> fields = describe_block(block);
  const std::string text = help_text(fields);
  for (const std::string line : {
           "layers: int 1+                                  (required) how deep\n",
           "rate: share = 0.1                               how fast\n",
           "width: int 1+ = 2 layers                        how wide\n",
           "scale: auto/real >0 = 1 / layers                a factor\n",
           "parts: flag/[red/green/dark_blue] = false       all, none or some\n",
           "clip: block? = null                             on by presence\n"
           "    threshold: real >0 = 100.0                  largest value\n",
           "finish: choice = none                           of the surface\n"
           "    none                                        off\n"
           "    smooth                                      polished\n"
           "        passes: int 1+ = 1                      how often\n",
           "tool: choice = hammer                           the one tool\n"
           "    tool kinds: hammer, saw\n",
           "tools: choice or pattern = hammer               a tool a layer\n"
           "    tool kinds: hammer, saw\n",
       }) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "\nin\n" << text;
  }
  EXPECT_EQ(families_of(fields), std::vector<std::string>{"tool"});
}

TEST(ConfigHelp, JsonSchemaHasRangesDefaultsAndKinds) {
  Everyday config;
  const NoContext none;
  detail::BlockOf block(config, none);
  const Json schema = json_schema("everyday", describe_block(block));
  const Json& properties = schema.at("properties");
  EXPECT_EQ(properties.at("layers").dump(),
            R"({"type":"integer","minimum":1,"description":"how deep"})");
  EXPECT_EQ(properties.at("rate").dump(),
            R"({"type":"number","minimum":0,"maximum":1,"description":"how fast","default":0.1})");
  EXPECT_EQ(
      properties.at("window").dump(),
      R"({"anyOf":[{"type":"integer","minimum":1},{"type":"null"}],"description":"how far back; null = all","default":null})");
  EXPECT_EQ(properties.at("tool").at("$ref").text(), "#/$defs/tool");
  EXPECT_EQ(schema.at("required").dump(), R"(["layers"])");
  EXPECT_FALSE(schema.at("additionalProperties").flag());
  const Json& kinds = schema.at("$defs").at("tool").at("anyOf");
  EXPECT_EQ(kinds.array()[0].dump(), R"({"enum":["hammer"]})") << "a saw needs its teeth";
  EXPECT_EQ(kinds.array()[2].at("required").dump(), R"(["kind","teeth"])");
}

}  // namespace
}  // namespace clausius
