// SPDX-License-Identifier: Apache-2.0
// Loss on held-out data, over all ranks.
#pragma once

#include <cstdint>

#include "core/comm/communicator.h"
#include "data/dataset.h"
#include "layers/models/model.h"
#include "train/step_report.h"

namespace clausius {

/// Scores the first `samples` samples of `data` (all, when there are fewer), `micro_batch` at a time, shared out over the ranks.
/// val_loss = sum of token losses / scored tokens; bits per byte = sum / (ln 2 * bytes of the scored tokens).
/// Dropout and regularizers are off. Entropies of the rows are added to `entropy` (not reduced yet). Collective.
[[nodiscard]] EvaluationReport evaluate(Model& model,
                                        const SampleSequence& data,
                                        std::int64_t samples,
                                        std::int64_t micro_batch,
                                        Communicator& communicator,
                                        EntropyTotals& entropy);

}  // namespace clausius
