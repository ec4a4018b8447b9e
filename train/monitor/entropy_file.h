// SPDX-License-Identifier: Apache-2.0
// entropy.h5: step x layer x head, readable while the run is live and after a kill.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "core/io/hdf5_rows.h"
#include "train/monitor/observation.h"
#include "train/observer.h"

namespace clausius {

/// Datasets `step` [N] and `entropy_nats`, `entropy_normalized`, `max_logit`, each [N, layers, most heads of a layer], f32, NaN where a layer
/// has no such head; the file's attribute heads_per_layer lists the heads of each layer. Of what else is observed: by heads in the same
/// form, by layers [N, layers], by name [N, names] with the names in the dataset's attribute `names`, comma between them.
class EntropyFile final : public TrainingObserver {
 public:
  /// `resume_step`: rows of earlier steps in an existing file are kept, later ones dropped; negative: start anew. Errors: IoError.
  EntropyFile(const std::filesystem::path& file,
              const std::vector<std::int64_t>& heads_per_layer,
              std::int64_t resume_step,
              const ObservedNames& observed = {});

  void on_step(const StepReport& report) override;

 private:
  std::int64_t layers_;
  Shape shape_;
  ObservedNames observed_;
  std::unique_ptr<Hdf5RowWriter> writer_;
};

}  // namespace clausius
