// SPDX-License-Identifier: Apache-2.0
// Evaluation by micro-batches.
#include "train/evaluator.h"

#include <algorithm>
#include <numbers>

#include "core/error.h"
#include "core/ops/row_lengths/row_lengths.h"

namespace clausius {

EvaluationReport evaluate(Model& model,
                          const SampleSequence& data,
                          std::int64_t samples,
                          std::int64_t micro_batch,
                          Communicator& communicator,
                          EntropyTotals& entropy) {
  const NoGrad no_grad(model.parameters());
  if (Reparam* reparam = model.reparam()) {
    reparam->begin_evaluation();
  }
  const std::int64_t count = std::min(samples, data.epoch_size());
  const std::int64_t begin = count * communicator.rank() / communicator.size();
  const std::int64_t end = count * (communicator.rank() + 1) / communicator.size();
  double loss = 0;
  double weight = 0;
  double bytes = 0;
  for (std::int64_t first = begin; first < end; first += micro_batch) {
    const Batch batch = data.read(first, std::min(micro_batch, end - first));
    Telemetry telemetry;
    const ForwardLoss forward =
        model.forward_loss(batch, {.phase = Phase::kEvaluate, .telemetry = &telemetry});
    entropy.add(telemetry, ops::row_lengths(batch.targets_BT.to(model.parameters().device())));
    loss += forward.loss_sum.value().item();
    weight += batch.weight;
    bytes += batch.target_bytes;
  }
  Tensor sums = Tensor::from(std::vector<double>{loss, weight, bytes}, {3});
  communicator.all_reduce(sums, ReduceOp::kSum, "validation loss");
  const auto totals = sums.span<double>();
  CLS_CHECK(totals[1] > 0, DataError, "no target of the validation data carries loss");
  return {.val_loss = totals[0] / totals[1],
          .val_bits_per_byte = totals[2] > 0 ? totals[0] / (std::numbers::ln2 * totals[2]) : 0.0,
          .samples = count};
}

}  // namespace clausius
