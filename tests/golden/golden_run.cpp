// SPDX-License-Identifier: Apache-2.0
// Reading golden files and answering them.
#include "tests/golden/golden_run.h"

#include <filesystem>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "autograd/tape.h"
#include "core/comm/communicator.h"
#include "core/error.h"
#include "core/io/hdf5.h"
#include "core/random.h"
#include "tests/support/paths.h"
#include "train/buckets.h"
#include "train/gradient_reducer.h"
#include "train/monitor/attention_entropy.h"
#include "train/recipe.h"
#include "train/train_step.h"

namespace clausius::test {
namespace {

std::filesystem::path golden_file(const std::string& name) {
  return test::source_dir() / "tests" / "golden" / name;
}

Batch read_batch(const Hdf5Reader& file) {
  Batch batch{.inputs_BT = file.tensor("batch/inputs"),
              .targets_BT = file.tensor("batch/targets"),
              .positions_BT = file.tensor("batch/positions")};
  if (file.contains("batch/cu_seqlens")) {
    batch.cu_seqlens = file.tensor("batch/cu_seqlens");
  }
  batch.sample_ids_B = Tensor::empty({batch.inputs_BT.size(0)}, Dtype::kI64);
  for (std::int64_t row = 0; row < batch.inputs_BT.size(0); ++row) {
    batch.sample_ids_B.data<std::int64_t>()[row] = row;
  }
  for (const std::int32_t target : batch.targets_BT.span<std::int32_t>()) {
    batch.weight += target == kIgnoredTarget ? 0.0 : 1.0;
  }
  return batch;
}

void check_names(ParameterStore& store, const Golden& golden) {
  std::map<std::string, Shape> found;
  for (const Parameter& parameter : store.parameters()) {
    const auto wanted = golden.start_weights.find(parameter.path());
    CLS_CHECK(wanted != golden.start_weights.end(), DataError, "only the model has ",
              parameter.path());
    CLS_CHECK(wanted->second.shape() == parameter.shape(), DataError, parameter.path(), " is ",
              parameter.shape(), " in the model, ", wanted->second.shape(), " in the golden file");
    found[parameter.path()] = parameter.shape();
  }
  for (const auto& [path, weight] : golden.start_weights) {
    CLS_CHECK(found.contains(path), DataError, "only the golden file has ", path);
  }
  const std::map<std::string, std::string> aliases(store.aliases().begin(), store.aliases().end());
  CLS_CHECK(aliases == golden.aliases, DataError, "the aliases differ");
}

void set_weights(ParameterStore& store, const Golden& golden, const Perturbation& perturbation) {
  for (Parameter& parameter : store.parameters()) {
    Tensor weight = golden.start_weights.at(parameter.path()).clone();
    if (perturbation.size > 0) {
      Tensor noise = Tensor::empty(weight.shape(), Dtype::kF64);
      fill_uniform(noise, {.seed = perturbation.seed, .stream = stream_of(parameter.path())}, -1.0,
                   1.0);
      for (std::size_t i = 0; i < weight.span<double>().size(); ++i) {
        weight.span<double>()[i] *= 1.0 + perturbation.size * noise.span<double>()[i];
      }
    }
    parameter.master().copy_from(weight);
  }
  store.refresh_compute_copy();
}

Tensor wide(const Tensor& tensor) {
  return tensor.to(Dtype::kF64).clone();
}

// Loss, gradients and entropies of one pass.
void first_pass(Model& model, const Batch& batch, NamedTensors& results) {
  ParameterStore& store = model.parameters();
  store.begin_step();
  Tape tape;
  Telemetry telemetry;
  const ParameterStore::Bind bind(store, &tape);
  const ForwardLoss loss = model.forward_loss(batch, {.telemetry = &telemetry});
  tape.backward(loss.loss_sum, Tensor::scalar(1.0 / batch.weight, loss.loss_sum.dtype()));
  results["loss_sum"] = wide(loss.loss_sum.value());
  results["token_loss"] = wide(loss.token_loss_N);
  for (Parameter& parameter : store.parameters()) {
    EXPECT_TRUE(parameter.gradient_written()) << parameter.path();
    results["gradients/" + parameter.path()] = wide(parameter.gradient());
  }
  EntropyTotals totals(model.heads_per_layer());
  totals.add(telemetry);
  std::vector<double> mean;
  std::vector<double> normalized;
  std::vector<double> max_logit;
  const EntropyReport report = totals.report();
  for (const std::vector<HeadEntropy>& heads : report) {
    for (const HeadEntropy& head : heads) {
      mean.push_back(head.entropy_nats);
      normalized.push_back(head.entropy_normalized);
      max_logit.push_back(head.max_logit);
    }
  }
  const auto layers = static_cast<std::int64_t>(report.size());
  const Shape shape{layers, static_cast<std::int64_t>(mean.size()) / layers};
  results["entropy_mean"] = Tensor::from(mean, shape);
  results["entropy_normalized"] = Tensor::from(normalized, shape);
  results["max_logit"] = Tensor::from(max_logit, shape);
}

void train(Model& model, const Recipe& recipe, const Batch& batch, NamedTensors& results) {
  const std::unique_ptr<Communicator> communicator = make_communicator();
  const std::unique_ptr<Optimizer> optimizer = recipe.optimizer.make(model.parameters());
  const Duration::Run run{.steps = *recipe.train.steps};
  const std::unique_ptr<Schedule> schedule = recipe.schedule.make(run);
  GradientReducer reducer(model.parameters(), *communicator,
                          make_buckets(model.parameters(), 1 << 16, 1), /*shared=*/false);
  TrainStep step(model, *optimizer, reducer, *communicator, {.clip_norm = recipe.train.clip_norm});
  const LoadedStep data{
      .samples = batch.samples(), .micro_batches = {batch}, .weight = batch.weight};
  std::vector<double> losses;
  std::vector<double> grad_norms;
  std::vector<double> update_norms;
  for (std::int64_t i = 1; i <= run.steps; ++i) {
    EntropyTotals entropy(model.heads_per_layer());
    const StepOutcome outcome =
        step.run(data, i, optimizer->peak_lr() * schedule->factor(i), entropy);
    losses.push_back(outcome.loss);
    grad_norms.push_back(outcome.grad_norm);
    update_norms.push_back(outcome.update_norm);
  }
  results["loss"] = Tensor::from(losses, {run.steps});
  results["grad_norm"] = Tensor::from(grad_norms, {run.steps});
  results["update_norm"] = Tensor::from(update_norms, {run.steps});
  for (Parameter& parameter : model.parameters().parameters()) {
    results["weights/" + parameter.path()] = wide(parameter.master());
  }
}

}  // namespace

Golden read_golden(const std::string& name) {
  const Hdf5Reader start(golden_file(name + "_start.h5"));
  Golden golden;
  golden.recipe = start.text("recipe");
  golden.batch = read_batch(start);
  for (const std::string& path : start.datasets("weights")) {
    golden.start_weights[path] = wide(start.tensor("weights/" + path));
  }
  if (start.contains("aliases")) {
    for (const std::string& path : start.datasets("aliases")) {
      golden.aliases[path] = start.text("aliases/" + path);
    }
  }
  for (const char* key :
       {"loss_sum", "token_loss", "entropy_mean", "entropy_normalized", "max_logit"}) {
    golden.results[key] = wide(start.tensor(key));
  }
  for (const char* part : {"_gradients.h5", "_trained.h5"}) {
    const Hdf5Reader file(golden_file(name + part));
    for (const std::string& key : file.datasets()) {
      golden.results[key] = wide(file.tensor(key));
    }
  }
  return golden;
}

NamedTensors run_golden(const Golden& golden, Dtype dtype, const Perturbation& perturbation) {
  const Recipe recipe = parse_recipe(golden.recipe, "golden.yaml", "/");
  ModelContext context = recipe.model_context();
  context.compute = dtype == Dtype::kBf16 ? Dtype::kBf16 : Dtype::kF32;
  context.master = dtype == Dtype::kF64 ? Dtype::kF64 : Dtype::kF32;
  const std::unique_ptr<Model> model = recipe.model.make(context);
  check_names(model->parameters(), golden);
  model->parameters().allocate_gradients();
  set_weights(model->parameters(), golden, perturbation);
  NamedTensors results;
  first_pass(*model, golden.batch, results);
  train(*model, recipe, golden.batch, results);
  return results;
}

}  // namespace clausius::test
