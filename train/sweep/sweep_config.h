// SPDX-License-Identifier: Apache-2.0
// The keys of a sweep file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/config_duration.h"
#include "core/config_path.h"

namespace clausius {

/// A part of a sweep file whose meaning other parts give it.
struct RawNode {
  ConfigNode node = ConfigNode::map();
};

template <>
struct ConfigType<RawNode> {
  static bool fits(const ConfigNode& node) { return node.is_map(); }
  static void read(const ConfigNode& node, RawNode& value, const Constraint& range);
  static ConfigNode write(const RawNode& value) { return value.node; }
  static TypeSchema describe(const Constraint& range);
};

enum class SweepCommand { kTrain, kEval };
constexpr auto words_of(SweepCommand /*unused*/) {
  return words("train", "eval");
}

enum class OnFailure { kContinue, kStop };
constexpr auto words_of(OnFailure /*unused*/) {
  return words("continue", "stop");
}

enum class Take { kLast, kMean, kMin, kMax, kFirstStep };
constexpr auto words_of(Take /*unused*/) {
  return words("last", "mean", "min", "max", "first_step");
}

/// One number of a finished cell.
struct Measure {
  std::string metric;
  Take take = Take::kLast;
  std::optional<Duration> last{};
  std::optional<double> above{};
  std::optional<double> below{};
  std::optional<std::string> name{};

  void visit(ConfigVisitor& v);
  void validate(const ConfigCheck& check) const;
  [[nodiscard]] const std::string& label() const { return name ? *name : metric; }
};

struct SweepConfig {
  std::optional<std::filesystem::path> extends;  // always empty: loading merges the parent in
  std::string name;
  std::optional<std::filesystem::path> recipe;
  std::optional<std::filesystem::path> checkpoint;
  SweepCommand command = SweepCommand::kTrain;
  RawNode set;
  RawNode grid;
  std::vector<RawNode> exclude;
  std::optional<std::vector<std::int64_t>> seeds;
  std::vector<std::string> average = {"seed"};
  std::vector<Measure> measure;
  std::vector<std::string> rows;
  std::vector<std::string> columns;
  OnFailure on_failure = OnFailure::kContinue;

  void visit(ConfigVisitor& v);
  void validate(const ConfigCheck& check) const;
};

}  // namespace clausius
