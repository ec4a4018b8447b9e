// SPDX-License-Identifier: Apache-2.0
// Passes of a reparametrised decoder.
#include "tests/layers/reparam/reparam_bench.h"

#include "autograd/tape.h"
#include "core/checked.h"
#include "core/random.h"
#include "tests/support/toy_parameters.h"

namespace clausius::test {
namespace {

constexpr std::int64_t kVocab = 11;
constexpr std::int64_t kLength = 5;
constexpr std::int64_t kRows = 6;

Batch batch_of(std::int64_t first, std::int64_t count) {
  Batch batch{.inputs_BT = Tensor::empty({count, kLength}, Dtype::kI32),
              .targets_BT = Tensor::empty({count, kLength}, Dtype::kI32),
              .positions_BT = Tensor::empty({count, kLength}, Dtype::kI32)};
  for (std::int64_t i = 0; i < count * kLength; ++i) {
    const RandomStream tokens{.seed = 4, .sample = narrow<std::uint32_t>(first * kLength + i)};
    batch.inputs_BT.data<std::int32_t>()[i] = static_cast<std::int32_t>(tokens.below(kVocab, 0));
    batch.targets_BT.data<std::int32_t>()[i] = static_cast<std::int32_t>(tokens.below(kVocab, 1));
    batch.positions_BT.data<std::int32_t>()[i] = static_cast<std::int32_t>(i % kLength);
  }
  return batch;
}

}  // namespace

std::unique_ptr<DecoderLm> make_reparam_model(const std::string& reparam,
                                              const ReparamBenchOptions& options) {
  DecoderLmConfig config;
  config.layers = 2;
  config.model_dim = 8;
  config.num_heads = 2;
  config.tie_embeddings = !options.untied;
  config.bias = true;
  const LayerShape shape = config.layer_shape(0, {});
  config.mixer =
      Pattern<SequenceMixer>(choice_of<SequenceMixer>("{kind: softmax, output_gate: silu}", shape));
  config.feed_forward = Pattern<FeedForward>(choice_of<FeedForward>(
      options.swiglu ? "{kind: swiglu, hidden_dim: 12}" : "{kind: mlp, hidden_dim: 12}", shape));
  config.linear.reparam = choice_of<Reparam>(reparam);
  return std::make_unique<DecoderLm>(config, ModelContext{.vocab_size = kVocab,
                                                          .context_length = kLength,
                                                          .seed = 5,
                                                          .compute = options.compute,
                                                          .master = options.master,
                                                          .device = options.device,
                                                          .parameter_shares = options.shares});
}

ReparamBench::ReparamBench(const std::string& reparam, const ReparamBenchOptions& options)
    : model_(make_reparam_model(reparam, options)) {
  store().allocate_gradients();
}

Parameter& ReparamBench::parameter(const std::string& path) {
  Parameter* found = store().find(path);
  CLS_CHECK(found != nullptr, InternalError, "no parameter ", path);
  return *found;
}

void ReparamBench::stir() {
  for (Parameter& parameter : store().parameters()) {
    if (!is_matmul_operand(parameter.role())) {
      Tensor host = parameter.master().to(kCpu).clone();
      Tensor noise = Tensor::empty(host.shape(), host.dtype());
      fill_uniform(noise, {.seed = 8, .stream = stream_of(parameter.path())}, 0.1, 0.4);
      for (std::int64_t i = 0; i < host.numel(); ++i) {
        if (host.dtype() == Dtype::kF64) {
          host.data<double>()[i] += noise.data<double>()[i];
        } else {
          host.data<float>()[i] += noise.data<float>()[i];
        }
      }
      parameter.master().copy_from(host);
    }
  }
  store().refresh_compute_copy();
}

double ReparamBench::loss() {
  const NoGrad no_grad(store());
  const Batch batch = batch_of(0, kRows);
  return model_->forward_loss(batch, {.phase = Phase::kTrain}).loss_sum.value().to(kCpu).item() /
         static_cast<double>(kRows * kLength);
}

double ReparamBench::passes(const std::vector<std::int64_t>& sizes, Recompute recompute) {
  store().begin_step();
  double total = 0;
  std::int64_t first = 0;
  for (const std::int64_t rows : sizes) {
    Tape tape;
    const ParameterStore::Bind bind(store(), &tape);
    const Batch batch = batch_of(first, rows);
    const Variable sum =
        model_->forward_loss(batch, {.phase = Phase::kTrain, .recompute = recompute}).loss_sum;
    total += sum.value().to(kCpu).item();
    tape.backward(sum, Tensor::scalar(1.0 / static_cast<double>(kRows * kLength), sum.dtype(),
                                      sum.value().device()));
    first += rows;
  }
  for (Parameter& parameter : store().parameters()) {
    parameter.finish_gradient();
  }
  return total / static_cast<double>(kRows * kLength);
}

double ReparamBench::step(const std::vector<std::int64_t>& sizes,
                          Recompute recompute,
                          std::int64_t number) {
  reparam().begin_step(number);
  const double loss = passes(sizes, recompute);
  reparam().finish_gradients({});
  return loss;
}

void ReparamBench::descend(double rate) {
  Tensor master = store().master().to(kCpu).clone();
  const Tensor gradients = store().gradients().to(kCpu);
  for (std::int64_t i = 0; i < master.numel(); ++i) {
    if (master.dtype() == Dtype::kF64) {
      master.data<double>()[i] -= rate * gradients.data<double>()[i];
    } else {
      master.data<float>()[i] -= static_cast<float>(rate) * gradients.data<float>()[i];
    }
  }
  store().master().copy_from(master);
  store().refresh_compute_copy();
}

Tensor ReparamBench::logits() {
  return model_->logits(batch_of(0, 2).inputs_BT);
}

}  // namespace clausius::test
