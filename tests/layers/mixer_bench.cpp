// SPDX-License-Identifier: Apache-2.0
// A softmax mixer from recipe text, with parameters and contexts.
#include "tests/layers/mixer_bench.h"

#include <cmath>
#include <optional>

#include <gtest/gtest.h>

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

Choice<SequenceMixer> mixer_choice(const std::string& knobs) {
  const std::string text = "kind: softmax\n" + knobs + "\n";
  Choice<SequenceMixer> choice("softmax");
  ReadLog log;
  read_config(parse_yaml(text, std::make_shared<ConfigSource>()), choice, log, kShape);
  return choice;
}

MixerBench::MixerBench(const std::string& knobs, Dtype master, Dtype compute)
    : store_(compute, master) {
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
  context.rope = ops::make_rope_table(4 * kMixerContext, kShape.head_dim, 100.0,
                                      store_.parameters().front().master().dtype());
  return context;
}

Tensor MixerBench::input(std::int64_t batch, std::int64_t length) const {
  return random_normal({batch, length, kMixerDim}, "x")
      .to(store_.parameters().front().value().dtype());
}

Tensor MixerBench::run(const Tensor& x_BTM, const SequenceContext& context, MixerState* state) {
  const NoGrad no_grad(store_);
  return mixer_->forward(Variable(x_BTM), context, state).value();
}

}  // namespace clausius::test
