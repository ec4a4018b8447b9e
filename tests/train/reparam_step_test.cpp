// SPDX-License-Identifier: Apache-2.0
// A reparametrisation inside an optimizer step: when it is refreshed, which gradients are clipped and counted, what a checkpoint keeps.
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/parallel.h"
#include "tests/support/op_case.h"
#include "tests/support/toy_parameters.h"
#include "tests/train/fake_communicator.h"
#include "tests/train/tiny_model.h"
#include "train/buckets.h"
#include "train/evaluator.h"
#include "train/train_step.h"
#include "train/training_state.h"

namespace clausius {
namespace {

constexpr const char* kSigma = "{kind: sigma, vector_init: random}";

struct Stepper {
  explicit Stepper(const std::string& reparam,
                   Dtype dtype = Dtype::kF64,
                   Recompute recompute = Recompute::kNone,
                   const std::string& optimizer_text = "{kind: sgd, lr: 0.5, momentum: 0.0}")
      : model(test::make_tiny_model(
            dtype, kCpu, 1, {}, "{kind: softmax}", Dtype::kF32, test::choice_of<Reparam>(reparam))),
        optimizer(test::choice_of<Optimizer>(optimizer_text).make(model->parameters())),
        reducer(model->parameters(), ranks, make_buckets(model->parameters(), 1024, 1), false),
        step(*model,
             *optimizer,
             reducer,
             ranks,
             {.clip_norm = std::nullopt, .recompute = recompute}),
        entropy(model->heads_per_layer()) {
    set_num_threads(1);
  }
  StepOutcome take(const std::vector<std::int64_t>& sizes, std::int64_t number) {
    entropy.reset();
    return step.run(test::tiny_step(sizes), number, optimizer->peak_lr(), entropy);
  }
  [[nodiscard]] Tensor u() const { return model->parameters().states().at(0).value.clone(); }

  std::unique_ptr<DecoderLm> model;
  std::unique_ptr<Optimizer> optimizer;
  test::FakeCommunicator ranks;
  GradientReducer reducer;
  TrainStep step;
  EntropyTotals entropy;
};

TEST(ReparamStep, AnySplitAndRecomputationIsTheSameStep) {
  for (const char* kind : {kSigma, "{kind: spectral_norm, refresh_every: 2}", "weight_norm"}) {
    Stepper whole(kind);
    std::vector<StepOutcome> wanted;
    for (int number = 1; number <= 4; ++number) {
      wanted.push_back(whole.take({6}, number));
    }
    EXPECT_LT(wanted.back().loss, wanted.front().loss);
    for (const Recompute recompute : {Recompute::kNone, Recompute::kBlock}) {
      Stepper run(kind, Dtype::kF64, recompute);
      for (int number = 1; number <= 4; ++number) {
        const StepOutcome got = run.take({1, 3, 2}, number);
        const StepOutcome& want = wanted[static_cast<std::size_t>(number - 1)];
        EXPECT_NEAR(got.loss, want.loss, 1e-12) << kind;
        EXPECT_NEAR(got.grad_norm, want.grad_norm, 1e-12) << kind;
      }
      test::expect_close(run.model->parameters().master(), whole.model->parameters().master(),
                         1e-11, kind);
    }
  }
}

TEST(ReparamStep, RecomputationGivesTheSameBits) {
  for (const char* kind : {kSigma, "weight_norm"}) {
    Stepper plain(kind, Dtype::kF32);
    Stepper again(kind, Dtype::kF32, Recompute::kBlock);
    for (int number = 1; number <= 3; ++number) {
      EXPECT_EQ(plain.take({2, 1}, number).loss, again.take({2, 1}, number).loss);
      test::expect_bits_equal(again.model->parameters().gradients(),
                              plain.model->parameters().gradients(), kind);
    }
  }
}

// What is clipped and reported is the gradient of what is trained.
TEST(ReparamStep, TheNormIsThatOfTheSettledGradient) {
  Stepper run(kSigma);
  const StepOutcome outcome = run.take({6}, 1);
  double squares = 0;
  for (const double value : run.model->parameters().gradients().span<double>()) {
    squares += value * value;
  }
  EXPECT_NEAR(outcome.grad_norm, std::sqrt(squares), 1e-13);
  const Parameter& gamma = *run.model->parameters().find("blocks.0.mixer.out.gamma");
  EXPECT_NE(gamma.master().item(), 1.0) << "gains are trained";
}

TEST(ReparamStep, OneRefreshAStepAndNoneInEvaluation) {
  Stepper run(kSigma);
  (void)run.take({3, 3}, 1);
  const Tensor once = run.u();
  const test::TinySequence rows(4);
  EntropyTotals entropy(run.model->heads_per_layer());
  const double loss = evaluate(*run.model, rows, 4, 2, run.ranks, entropy).val_loss;
  test::expect_bits_equal(run.u(), once, "u");
  EXPECT_EQ(evaluate(*run.model, rows, 4, 4, run.ranks, entropy).val_loss, loss);
  Stepper split(kSigma);
  (void)split.take({1, 1, 1, 1, 1, 1}, 1);
  test::expect_bits_equal(split.u(), once, "u of another split");
}

// W has no decay: only its direction matters. A group may ask for it.
TEST(ReparamStep, MatricesDoNotDecayUnlessAGroupSaysSo) {
  const auto lengths = [](const std::string& optimizer) {
    Stepper run(kSigma, Dtype::kF64, Recompute::kNone, optimizer);
    const Tensor weight = run.model->parameters().find("blocks.0.mixer.out.weight")->master();
    const auto length = [&] {
      double squares = 0;
      for (const double value : weight.span<double>()) {
        squares += value * value;
      }
      return std::sqrt(squares);
    };
    const double before = length();
    (void)run.take({2}, 1);
    return length() / before;
  };
  // The gradient is orthogonal to the weight: without decay it can only grow.
  EXPECT_GE(lengths("{kind: sgd, lr: 0.001, momentum: 0.0, weight_decay: 10}"), 1.0);
  EXPECT_NEAR(lengths("{kind: sgd, lr: 0.001, momentum: 0.0, groups: [{match: '*.out.weight', "
                      "weight_decay: 10}]}"),
              0.99, 1e-4);
}

TEST(ReparamStep, CheckpointsKeepTheVectors) {
  Stepper run(kSigma);
  for (int number = 1; number <= 3; ++number) {
    (void)run.take({3}, number);
  }
  Checkpoint checkpoint;
  for (Parameter& parameter : run.model->parameters().parameters()) {
    checkpoint.tensors.push_back(
        {parameter.path(), TensorRole::kParameter, parameter.master().clone()});
  }
  for (const StateTensor& state : run.model->parameters().states()) {
    checkpoint.tensors.push_back({state.path, TensorRole::kState, state.value.clone()});
  }
  Stepper other(kSigma);
  restore_parameters(checkpoint, other.model->parameters());
  test::expect_bits_equal(other.u(), run.u(), "u");
  const StepOutcome want = run.take({3}, 4);
  const StepOutcome got = other.take({3}, 4);
  EXPECT_EQ(got.loss, want.loss);
  test::expect_bits_equal(other.model->parameters().master(), run.model->parameters().master(),
                          "weights");
  // Another function of the same weights.
  for (const char* kind : {"{kind: sigma, qkv_grouping: joint}", "none", "weight_norm"}) {
    Stepper wrong(kind);
    EXPECT_THROW(restore_parameters(checkpoint, wrong.model->parameters()), DataError) << kind;
  }
  Stepper norms("spectral_norm");
  EXPECT_THROW(restore_parameters(checkpoint, norms.model->parameters()), DataError);
}

}  // namespace
}  // namespace clausius
