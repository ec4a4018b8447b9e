// SPDX-License-Identifier: Apache-2.0
// Recipe: one run, as typed sections.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/registry.h"
#include "data/dataset.h"
#include "layers/models/model.h"
#include "optim/optimizer.h"
#include "optim/schedule/schedule.h"
#include "train/monitor/monitor_config.h"
#include "data/objective.h"
#include "train/train_config.h"

namespace clausius {

enum class Precision { kF32, kBf16 };
constexpr auto words_of(Precision /*unused*/) { return words("f32", "bf16"); }

enum class DeviceChoice { kAuto, kOnCpu, kOnCuda };
constexpr auto words_of(DeviceChoice /*unused*/) { return words("auto", "cpu", "cuda"); }

/// The whole recipe language, as far as it is built: RECIPES of the user guide, section by section.
struct Recipe {
  std::string name;
  std::int64_t seed = 1337;
  Precision precision = Precision::kF32;
  DeviceChoice device = DeviceChoice::kAuto;
  Choice<Dataset> data;
  Choice<Model> model;
  Choice<Objective> objective{"next_token"};
  Choice<Optimizer> optimizer;
  Choice<Schedule> schedule{"cosine"};
  TrainConfig train;
  MonitorConfig monitor;
  CheckpointConfig checkpoint;
  ParallelConfig parallel;
  EvaluateConfig evaluate;
};

}  // namespace clausius
