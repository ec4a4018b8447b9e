// SPDX-License-Identifier: Apache-2.0
// A softmax mixer from recipe text, with parameters and contexts.
#include "tests/layers/mixer_bench.h"

#include <cmath>
#include <optional>

#include <gtest/gtest.h>

#include "autograd/recompute.h"
#include "autograd/tape.h"
#include "core/checked.h"
#include "core/io/yaml.h"
#include "tests/support/random_tensor.h"

namespace clausius::test {
namespace {

constexpr LayerShape kShape{.model_dim = kMixerDim,
                            .num_heads = 2,
                            .num_kv_heads = 1,
                            .head_dim = kMixerDim / 2,
                            .layer_index = 3,
                            .num_layers = 4,
                            .context_length = kMixerContext};

class Wide final : public Initializer {
 public:
  void fill(Tensor& value,
            const InitRequest& /*request*/,
            const RandomStream& stream) const override {
    fill_normal(value, stream, 0.0, 0.6);
  }
};

}  // namespace

void PrintTo(const MixerKnob& knob, std::ostream* out) {  // NOLINT: GoogleTest's name
  *out << knob.name;
}

std::vector<MixerKnob> mixer_knobs() {
  return {
      {"softcap", "logit_softcap: 1.5"},
      {"sink", "sink: learned"},
      {"temperature", "temperature: per_head"},
      {"raw_temperature", "temperature: {kind: per_head, parametrization: raw}"},
      {"temperature_table", "temperature: {kind: per_head_position, init: 0.5}"},
      {"qk_rms_norm", "qk_norm: rms_norm"},
      {"qk_l2_norm", "qk_norm: l2_norm"},
      {"qk_l2_norm_and_temperature", "qk_norm: l2_norm\ntemperature: per_head"},
      {"linear_gate", "output_gate: linear"},
      {"silu_gate", "output_gate: silu"},
      {"sigmoid_gate", "output_gate: sigmoid"},
      {"low_rank_gate", "output_gate: {kind: sigmoid_low_rank, rank: 3}"},
      {"rms_output_norm", "output_norm: rms_norm"},
      {"layer_output_norm", "output_norm: layer_norm"},
      {"simple_output_norm", "output_norm: simple_rms_norm\noutput_gate: silu"},
      {"all",
       "logit_softcap: 1.5\nsink: learned\nqk_norm: l2_norm\noutput_gate: sigmoid\n"
       "output_norm: rms_norm\ntemperature: {kind: per_head_position, init: 0.5}"},
  };
}

Choice<SequenceMixer> mixer_choice(const std::string& knobs) {
  const std::string text = "kind: softmax\n" + knobs + "\n";
  Choice<SequenceMixer> choice("softmax");
  ReadLog log;
  read_config(parse_yaml(text, std::make_shared<ConfigSource>()), choice, log, kShape);
  return choice;
}

MixerBench::MixerBench(const std::string& knobs, Dtype master, Dtype compute, Device device)
    : store_(compute, master, device) {
  const Wide initializer;
  const InitStream init(store_, initializer, 17, kShape);
  mixer_ = mixer_choice(knobs).make(kShape, init.child("mixer"));
  store_.allocate();
}

Parameter& MixerBench::parameter(const std::string& name) {
  Parameter* found = store_.find("mixer." + name);
  CLS_CHECK(found != nullptr, InternalError, "no parameter mixer.", name);
  return *found;
}

void MixerBench::set(const std::string& name, std::int64_t i, double value) {
  Tensor master = parameter(name).master();
  master.dtype() == Dtype::kF64 ? master.data<double>()[i] = value
                                : master.data<float>()[i] = static_cast<float>(value);
}

void MixerBench::set_all(const std::string& name, double value) {
  parameter(name).master().fill(value);
}

void MixerBench::copy_from(const MixerBench& other) {
  store_.master().copy_from(other.store_.master().to(store_.device()));
  store_.refresh_compute_copy();
}

void MixerBench::stir() {
  for (Parameter& one : store_.parameters()) {
    if (is_matmul_operand(one.role())) {
      continue;
    }
    for (std::int64_t i = 0; i < one.numel(); ++i) {
      const double start = one.master().reshape({-1}).select(0, i).item();
      set(one.path().substr(std::string("mixer.").size()), i,
          start + 0.3 * std::sin(1.0 + 2.3 * static_cast<double>(i)));
    }
  }
}

SequenceContext MixerBench::context(std::int64_t batch,
                                    std::int64_t length,
                                    std::int64_t first) const {
  SequenceContext context;
  context.layer = kShape.layer_index;
  context.positions_BT = Tensor::empty({batch, length}, Dtype::kI32);
  for (std::int64_t i = 0; i < batch * length; ++i) {
    context.positions_BT.data<std::int32_t>()[i] = narrow<std::int32_t>(first + i % length);
  }
  context.positions_BT = context.positions_BT.to(store_.device());
  context.rope = ops::make_rope_table(4 * kMixerContext, kShape.head_dim, 100.0,
                                      store_.parameters().front().master().dtype())
                     .to(store_.device());
  return context;
}

Tensor MixerBench::input(std::int64_t batch, std::int64_t length) const {
  return random_normal({batch, length, kMixerDim}, "x")
      .to(store_.parameters().front().value().dtype())
      .to(store_.device());
}

Tensor MixerBench::run(const Tensor& x_BTM, const SequenceContext& context, MixerState* state) {
  const NoGrad no_grad(store_);
  return mixer_->forward(Variable(x_BTM), context, state).value();
}

double objective_weight(std::int64_t i) {
  return std::cos(0.7 * static_cast<double>(i));
}

namespace {

Tensor weights_like(const Tensor& y) {
  Tensor weights = Tensor::empty(y.shape(), Dtype::kF64);
  for (std::int64_t i = 0; i < y.numel(); ++i) {
    weights.data<double>()[i] = objective_weight(i);
  }
  return weights.to(y.dtype()).to(y.device());
}

}  // namespace

MixerGradients gradients_of(MixerBench& bench,
                            const Tensor& x,
                            const SequenceContext& context,
                            bool again) {
  ParameterStore& store = bench.store();
  store.begin_step();
  Tape tape;
  const ParameterStore::Bind bind(store, &tape);
  const Variable input = tape.watch(x);
  const BlockFn block = [&](std::span<const Variable> inputs, bool /*second*/) {
    Telemetry telemetry;
    SequenceContext own = context;
    own.telemetry = &telemetry;
    const Variable y = bench.mixer().forward(inputs[0], own, nullptr);
    return std::vector<Variable>{y, telemetry.attention().at(0).entropy_BHT};
  };
  std::vector<Parameter*> parameters;
  for (Parameter& parameter : store.parameters()) {
    parameters.push_back(&parameter);
  }
  const std::vector<Variable> out =
      again ? recompute(store, parameters, {&input, 1}, block) : block({&input, 1}, false);
  const std::vector<Tape::Seed> seeds = {
      {out[0], weights_like(out[0].value())},
      {out[1], Tensor::full(out[1].shape(), 0.3, out[1].dtype(), x.device())}};
  tape.backward(seeds);
  return {tape.gradient(input), store.gradients().clone()};
}

}  // namespace clausius::test
