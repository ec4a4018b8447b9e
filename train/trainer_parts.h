// SPDX-License-Identifier: Apache-2.0
// What a Trainer is made of; seen by its own sources only.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "data/dataset.h"
#include "data/loader.h"
#include "data/objective.h"
#include "train/batch_feed.h"
#include "train/checkpoint_saver.h"
#include "train/gradient_reducer.h"
#include "train/monitor/attention_entropy.h"
#include "train/monitor/health.h"
#include "train/monitor/observation.h"
#include "train/observer.h"
#include "train/run_directory.h"
#include "train/run_plan.h"
#include "train/trace.h"
#include "train/train_step.h"
#include "train/trainer.h"
#include "train/training_state.h"

namespace clausius {

// In the order they are built; each may refer to those above it.
struct Trainer::Parts {
  bool writes = false;  // rank 0
  RunFiles files;
  std::optional<OpenedRun> opened;       // rank 0
  std::optional<Checkpoint> checkpoint;  // what the run goes on from
  std::unique_ptr<Dataset> data;
  RunPlan plan;
  std::unique_ptr<Model> model;
  std::unique_ptr<Objective> objective;
  std::unique_ptr<Optimizer> optimizer;
  std::unique_ptr<Schedule> schedule;
  std::unique_ptr<GradientReducer> reducer;
  std::unique_ptr<TrainStep> step;
  std::unique_ptr<EntropyTotals> entropy;
  std::unique_ptr<HealthMonitor> health;
  std::unique_ptr<Observation> observation;
  std::unique_ptr<Loader> loader;
  std::unique_ptr<BatchFeed> feed;
  std::unique_ptr<CheckpointSaver> saver;  // rank 0
  std::unique_ptr<Trace> trace;
  std::filesystem::path trace_file;
  std::vector<std::unique_ptr<TrainingObserver>> observers;  // rank 0

  RunPosition position;
  double peak_flops = 0;  // of all ranks
  double flops_per_token = 0;
  std::optional<EvaluationReport> last_evaluation;
  std::int64_t last_evaluation_step = -1;
  std::optional<double> best_evaluation;
  std::int64_t evaluations_without_gain = 0;
  bool out_of_patience = false;
  bool refusal_told = false;
  std::int64_t left_out = 0;          // updates in a row that a policy left out
  std::int64_t passed_over = 0;       // samples that rolling back left behind
  std::int64_t rollbacks = 0;         // since a checkpoint later than the alarm of the last one
  std::int64_t rolled_back_from = 0;  // step of that alarm
};

}  // namespace clausius
