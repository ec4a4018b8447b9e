// SPDX-License-Identifier: Apache-2.0
// Inheritance and command line overrides.
#include "core/config_file.h"

#include <fstream>

#include <gtest/gtest.h>

#include "core/io/yaml.h"
#include "tests/support/temporary_directory.h"

namespace clausius {
namespace {

class ConfigFile : public testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
  }
  // What loading gives, folders left out.
  [[nodiscard]] std::string load(const std::string& name,
                                 const std::vector<std::string>& overrides = {}) const {
    try {
      return to_yaml(load_config(folder_ / name, overrides));
    } catch (const ConfigError& error) {
      std::string message = error.what();
      for (std::size_t at = message.find(folder_.string()); at != std::string::npos;
           at = message.find(folder_.string())) {
        message.erase(at, folder_.string().size() + 1);
      }
      return message;
    }
  }

  const test::TemporaryDirectory temporary_;
  const std::filesystem::path folder_ = temporary_.path();
};

TEST_F(ConfigFile, MapsMergeAndTheRestReplaces) {
  write("base.yaml", "a: {x: 1, k: [1, 2], z: {deep: 1}}\nb: 2\nc: word\n");
  write("child.yaml", "extends: base.yaml\na: {k: [3], z: {more: 2}, w: 4}\nb: {m: 1}\nc: null\n");
  EXPECT_EQ(load("child.yaml"),
            "a:\n  x: 1\n  k: [3]\n  z:\n    deep: 1\n    more: 2\n  w: 4\nb:\n  m: 1\nc: null\n");
}

TEST_F(ConfigFile, AnotherKindStartsEmpty) {
  write("base.yaml", "norm: {kind: rms_norm, eps: 1.0e-6}\n");
  write("other.yaml", "extends: base.yaml\nnorm: {kind: layer_norm, bias: false}\n");
  write("same.yaml", "extends: base.yaml\nnorm: {kind: rms_norm, place: post}\n");
  write("none.yaml", "extends: base.yaml\nnorm: {place: post}\n");
  write("word.yaml", "extends: base.yaml\nnorm: rms_norm\n");
  EXPECT_EQ(load("other.yaml"), "norm:\n  kind: layer_norm\n  bias: false\n");
  EXPECT_EQ(load("same.yaml"), "norm:\n  kind: rms_norm\n  eps: 1.0e-6\n  place: post\n");
  EXPECT_EQ(load("none.yaml"), "norm:\n  kind: rms_norm\n  eps: 1.0e-6\n  place: post\n");
  EXPECT_EQ(load("word.yaml"), "norm: rms_norm\n");
}

TEST_F(ConfigFile, ABareWordIsAKind) {
  write("base.yaml", "mixer: softmax\n");
  write("refined.yaml", "extends: base.yaml\nmixer: {window: 8}\n");
  write("same.yaml", "extends: base.yaml\nmixer: {kind: softmax, window: 8}\n");
  write("other.yaml", "extends: base.yaml\nmixer: {kind: lucid, window: 8}\n");
  EXPECT_EQ(load("refined.yaml"), "mixer:\n  kind: softmax\n  window: 8\n");
  EXPECT_EQ(load("same.yaml"), "mixer:\n  kind: softmax\n  window: 8\n");
  EXPECT_EQ(load("other.yaml"), "mixer:\n  kind: lucid\n  window: 8\n");
  EXPECT_EQ(load("base.yaml", {"mixer.window=4"}), "mixer:\n  kind: softmax\n  window: 4\n");
}

TEST_F(ConfigFile, ExtendsStartsFromTheFileThatHoldsIt) {
  write("a/grandparent.yaml", "x: 1\nk: 1\n");
  write("a/b/parent.yaml", "extends: ../grandparent.yaml\nk: 2\nz: 2\n");
  write("child.yaml", "extends: a/b/parent.yaml\nz: 3\n");
  EXPECT_EQ(load("child.yaml"), "x: 1\nk: 2\nz: 3\n");
}

TEST_F(ConfigFile, RefusesBadParents) {
  write("one.yaml", "extends: two.yaml\n");
  write("two.yaml", "extends: ./one.yaml\n");
  write("self.yaml", "extends: self.yaml\n");
  write("lost.yaml", "x: 1\nextends: nowhere.yaml\n");
  write("many.yaml", "extends: [a.yaml, b.yaml]\n");
  write("broken.yaml", "extends: bad.yaml\n");
  write("bad.yaml", "x: 1\nx: 2\n");
  EXPECT_EQ(load("one.yaml"),
            "two.yaml:1:1: key 'extends': a circle of recipes: one.yaml -> two.yaml -> one.yaml");
  EXPECT_EQ(load("self.yaml"),
            "self.yaml:1:1: key 'extends': a circle of recipes: self.yaml -> self.yaml");
  EXPECT_EQ(load("lost.yaml"), "lost.yaml:2:1: key 'extends': there is no file nowhere.yaml");
  EXPECT_EQ(load("many.yaml"),
            "many.yaml:1:1: key 'extends': expected the path of one recipe, found a list");
  EXPECT_EQ(load("broken.yaml"), "bad.yaml:2:1: duplicate key 'x'; it is also in line 1");
  EXPECT_EQ(load("missing.yaml"), "missing.yaml: cannot be read: No such file or directory");
  EXPECT_EQ(load(""), ": this is a folder, not a recipe");
}

TEST_F(ConfigFile, OverridesAreOneMoreChild) {
  write("r.yaml", "model:\n  layers: 4\n  mixer: [{kind: lightning, chunk: 8}, softmax]\n");
  EXPECT_EQ(
      load("r.yaml", {"model.layers=2", "model.mixer.1.window=256", "name=x", "list=[1, {a: 2}]"}),
      "model:\n  layers: 2\n  mixer:\n    - kind: lightning\n      chunk: 8\n    - kind: softmax\n"
      "      window: 256\nname: x\nlist:\n  - 1\n  - a: 2\n");
  EXPECT_EQ(load("r.yaml", {"model.mixer.0.kind=lucid"}),
            "model:\n  layers: 4\n  mixer:\n    - kind: lucid\n    - softmax\n");
  EXPECT_EQ(load("r.yaml", {"model.mixer.window=8", "model.mixer=lucid"}),
            "model:\n  layers: 4\n  mixer:\n    kind: lucid\n    window: 8\n");
}

TEST_F(ConfigFile, RefusesBadOverrides) {
  write("r.yaml", "layers: 4\nlist: [a, b]\nmap: {x: 1}\n");
  EXPECT_EQ(load("r.yaml", {"layers"}), "command line: expected key=value, found 'layers'");
  EXPECT_EQ(load("r.yaml", {"=3"}), "command line: expected key=value, found '=3'");
  EXPECT_EQ(load("r.yaml", {"layers="}), "command line: layers=: no value; write null for none");
  EXPECT_EQ(load("r.yaml", {"a..b=1"}), "command line: a..b=1: the key has an empty part");
  EXPECT_EQ(load("r.yaml", {"a.=1"}), "command line: a.=1: the key has an empty part");
  EXPECT_EQ(load("r.yaml", {"extends=x.yaml"}),
            "command line: extends=x.yaml: only a file can extend another");
  EXPECT_EQ(load("r.yaml", {"layers=2", "layers=3"}),
            "command line: layers=3: this key is already given by 'command line: layers=2'");
  EXPECT_EQ(load("r.yaml", {"map={x: 2}", "map.x=3"}),
            "command line: map.x=3: this key is already given by 'command line: map={x: 2}'");
  EXPECT_EQ(load("r.yaml", {"list.2=c"}),
            "command line: list.2=c: key 'list.2': the list has 2 entries, counted from 0");
  EXPECT_EQ(
      load("r.yaml", {"layers.0=c"}),
      "command line: layers.0=c: key 'layers.0': there is no list here that could have an entry 0");
  EXPECT_EQ(load("r.yaml", {"layers=[1"}),
            "command line: layers=[1: not valid YAML: end of sequence flow not found");
}

TEST_F(ConfigFile, PlacesAreThoseOfTheLastWriter) {
  write("base.yaml", "a:\n  x: 1\n  k: 2\n");
  write("child.yaml", "extends: base.yaml\nb: 1\na: {x: 2}\n");
  const ConfigNode root = load_config(folder_ / "child.yaml", {"a.z=3"});
  const ConfigNode& a = *root.find("a");
  EXPECT_EQ(to_string(a.find("x")->location), (folder_ / "child.yaml").string() + ":3:5");
  EXPECT_EQ(to_string(a.find("k")->location), (folder_ / "base.yaml").string() + ":3:3");
  EXPECT_EQ(to_string(a.find("z")->location), "command line: a.z=3");
  EXPECT_EQ(a.find("z")->location.source->directory, std::filesystem::current_path());
  EXPECT_EQ(a.find("x")->location.source->directory, folder_);
}

}  // namespace
}  // namespace clausius
