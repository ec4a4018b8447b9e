// SPDX-License-Identifier: Apache-2.0
// AdamW and SGD, as recipes make them, against their definitions written out one scalar at a time.
#include "optim/optimizer.h"

#include <cmath>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/op_case.h"
#include "tests/support/toy_parameters.h"

namespace clausius {
namespace {

constexpr int kSteps = 6;

// One weight and what an optimizer remembers of it.
struct Scalar {
  double weight = 0;
  double first = 0;
  double second = 0;
};

struct Factors {
  double lr = 0;
  double decay = 0;
};

using ScalarUpdate = std::function<void(Scalar&, double gradient, int step, const Factors&)>;

double lr_of(int step) {
  return 0.03 / step;
}
double scale_of(int step) {
  return step % 2 == 0 ? 1.0 : 0.25;
}

// Decay where RECIPES says the built-in group has it.
double decay_of(const Parameter& parameter, double weight_decay) {
  const Role role = parameter.role();
  const bool decays = role == Role::kMatrix || role == Role::kEmbedding || role == Role::kHead ||
                      role == Role::kConv;
  return decays ? weight_decay : 0.0;
}

// Steps the optimizer and the scalar definition side by side in `dtype`, and compares weights and the update norm.
void expect_definition(const std::string& recipe,
                       double weight_decay,
                       const ScalarUpdate& update,
                       Dtype dtype) {
  ParameterStore store(dtype == Dtype::kF64 ? Dtype::kF32 : Dtype::kBf16, dtype);
  test::fill_toy_store(store);
  store.allocate_gradients();
  const auto optimizer = test::choice_of<Optimizer>(recipe).make(store);
  std::vector<Scalar> scalars(static_cast<std::size_t>(store.size()));
  const Tensor start = store.master().to(Dtype::kF64).clone();
  for (std::size_t i = 0; i < scalars.size(); ++i) {
    scalars[i].weight = start.span<double>()[i];
  }
  for (int step = 1; step <= kSteps; ++step) {
    test::fill_gradients(store, static_cast<std::uint32_t>(step));
    const Tensor gradients = store.gradients().to(Dtype::kF64).clone();
    const Tensor squares =
        optimizer->step({.lr = lr_of(step), .gradient_scale = scale_of(step), .step = step});
    ASSERT_EQ(squares.shape(), Shape({1}));
    const double norm = std::sqrt(squares.item());
    double change = 0;
    for (const Parameter& parameter : store.parameters()) {
      const Factors factors{.lr = lr_of(step), .decay = decay_of(parameter, weight_decay)};
      for (std::int64_t i = parameter.offset(); i < parameter.offset() + parameter.numel(); ++i) {
        const auto at = static_cast<std::size_t>(i);
        const double before = scalars[at].weight;
        update(scalars[at], scale_of(step) * gradients.span<double>()[at], step, factors);
        change += std::pow(scalars[at].weight - before, 2);
      }
    }
    EXPECT_NEAR(norm, std::sqrt(change), std::sqrt(change) * test::tolerance(dtype, 128, kSteps))
        << recipe << ", step " << step;
  }
  std::vector<double> wanted;
  for (const Scalar& scalar : scalars) {
    wanted.push_back(scalar.weight);
  }
  // Each step rounds the weight and its moments once.
  test::expect_close(store.master(), Tensor::from(wanted, {store.size()}),
                     test::tolerance(dtype, 1, kSteps), recipe);
  if (dtype == Dtype::kF32) {
    test::expect_bits_equal(store.compute_copy(), store.master().to(Dtype::kBf16), "bf16 copy");
  }
}

ScalarUpdate adamw(double beta1, double beta2, double eps, bool decoupled) {
  return [=](Scalar& s, double g, int step, const Factors& f) {
    if (!decoupled) {
      g += f.decay * s.weight;
    }
    s.first = beta1 * s.first + (1 - beta1) * g;
    s.second = beta2 * s.second + (1 - beta2) * g * g;
    const double mean = s.first / (1 - std::pow(beta1, step));
    const double mean_square = s.second / (1 - std::pow(beta2, step));
    const double shrunk = decoupled ? s.weight * (1 - f.lr * f.decay) : s.weight;
    s.weight = shrunk - f.lr * mean / (std::sqrt(mean_square) + eps);
  };
}

ScalarUpdate sgd(double momentum, bool nesterov) {
  return [=](Scalar& s, double g, int /*step*/, const Factors& f) {
    g += f.decay * s.weight;
    s.first = momentum * s.first + g;
    s.weight -= f.lr * (nesterov ? g + momentum * s.first : s.first);
  };
}

TEST(AdamwOptimizer, FollowsItsDefinition) {
  for (const Dtype dtype : {Dtype::kF64, Dtype::kF32}) {
    expect_definition("{kind: adamw, lr: 0.03}", 0.1, adamw(0.9, 0.95, 1e-8, true), dtype);
    expect_definition("{kind: adamw, lr: 0.03, betas: [0.8, 0.99], eps: 0.01, weight_decay: 0.3}",
                      0.3, adamw(0.8, 0.99, 0.01, true), dtype);
    expect_definition("{kind: adamw, lr: 0.03, decoupled: false}", 0.1,
                      adamw(0.9, 0.95, 1e-8, false), dtype);
  }
}

TEST(SgdOptimizer, FollowsItsDefinition) {
  for (const Dtype dtype : {Dtype::kF64, Dtype::kF32}) {
    expect_definition("{kind: sgd, lr: 0.03}", 0.0, sgd(0.9, false), dtype);
    expect_definition("{kind: sgd, lr: 0.03, nesterov: true, weight_decay: 0.2}", 0.2,
                      sgd(0.9, true), dtype);
    expect_definition("{kind: sgd, lr: 0.03, momentum: 0.0, weight_decay: 0.2}", 0.2,
                      sgd(0.0, false), dtype);
  }
}

TEST(Optimizer, PeakLrAndStateAreWhatCheckpointsNeed) {
  ParameterStore store;
  test::fill_toy_store(store);
  store.allocate_gradients();
  const std::map<std::string, std::vector<std::string>> states = {
      {"{kind: adamw, lr: 0.5}", {"exp_avg", "exp_avg_sq"}},
      {"{kind: sgd, lr: 0.5}", {"velocity"}},
      {"{kind: sgd, lr: 0.5, momentum: 0.0}", {}},
  };
  for (const auto& [recipe, names] : states) {
    const auto optimizer = test::choice_of<Optimizer>(recipe).make(store);
    EXPECT_EQ(optimizer->peak_lr(), 0.5);
    std::vector<std::string> found;
    for (const OptimizerState& state : optimizer->state()) {
      found.push_back(state.name);
      EXPECT_EQ(state.values.shape(), store.master().shape()) << recipe;
      EXPECT_EQ(state.values.dtype(), store.master().dtype()) << recipe;
    }
    EXPECT_EQ(found, names) << recipe;
  }
}

// A run that goes on from the state of another one takes the same steps.
TEST(Optimizer, StateIsAllThereIsToRemember) {
  for (const char* recipe : {"{kind: adamw, lr: 0.03}", "{kind: sgd, lr: 0.03}"}) {
    std::vector<Tensor> weights;
    for (const bool resumed : {false, true}) {
      ParameterStore store;
      test::fill_toy_store(store);
      store.allocate_gradients();
      auto optimizer = test::choice_of<Optimizer>(recipe).make(store);
      for (int step = 1; step <= kSteps; ++step) {
        if (resumed && step == 4) {
          const auto old = std::move(optimizer);
          optimizer = test::choice_of<Optimizer>(recipe).make(store);
          for (std::size_t i = 0; i < old->state().size(); ++i) {
            Tensor values = optimizer->state()[i].values;
            values.copy_from(old->state()[i].values);
          }
        }
        test::fill_gradients(store, static_cast<std::uint32_t>(step));
        (void)optimizer->step({.lr = lr_of(step), .step = step});
      }
      weights.push_back(store.master().clone());
    }
    test::expect_bits_equal(weights[1], weights[0], recipe);
  }
}

TEST(Optimizer, GroupsScaleFreezeAndDecay) {
  ParameterStore store(Dtype::kF32, Dtype::kF64);
  test::fill_toy_store(store);
  store.allocate_gradients();
  const auto optimizer = test::choice_of<Optimizer>(
                             "{kind: sgd, lr: 1.0, momentum: 0.0, weight_decay: 0.5, groups: ["
                             "{match: embedding.*, frozen: true}, "
                             "{role: bias, lr_scale: 0.25}, "
                             "{match: head.*, lr_scale: 2.0, weight_decay: 0.0}]}")
                             .make(store);
  const Tensor before = store.master().clone();
  test::fill_gradients(store, 1);
  (void)optimizer->step({.lr = 0.125});
  const auto expect_update = [&](const char* path, double lr, double decay) {
    const Parameter& parameter = *store.find(path);
    for (std::int64_t i = parameter.offset(); i < parameter.offset() + parameter.numel(); ++i) {
      const auto at = static_cast<std::size_t>(i);
      const double old = before.span<double>()[at];
      const double gradient = store.gradients().span<double>()[at];
      EXPECT_NEAR(store.master().span<double>()[at], old - lr * (gradient + decay * old), 1e-15)
          << path;
    }
  };
  expect_update("embedding.weight", 0.0, 0.0);
  expect_update("position.table", 0.125, 0.0);
  expect_update("blocks.0.norm.gain", 0.125, 0.0);
  expect_update("blocks.0.mixer.qkv.weight", 0.125, 0.5);
  expect_update("blocks.0.mixer.qkv.q.bias", 0.03125, 0.0);
  expect_update("blocks.0.conv", 0.125, 0.5);
  expect_update("head.weight", 0.25, 0.0);
  EXPECT_TRUE(store.find("embedding.weight")->frozen());
}

}  // namespace
}  // namespace clausius
