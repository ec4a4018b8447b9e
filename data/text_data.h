// SPDX-License-Identifier: Apache-2.0
// Data kinds `text` and `tokens`: from recipe knobs to a data set.
#pragma once

#include <filesystem>
#include <memory>

#include "data/dataset.h"
#include "data/row_table.h"
#include "data/sources.h"
#include "data/text_store.h"

namespace clausius {

/// What a data set needs besides its knobs.
struct DataContext {
  std::uint64_t seed = 0;
  /// Where files are made that cannot lie beside their sources.
  std::filesystem::path cache_folder{};
};

struct TextDataConfig {
  Sources train{};
  Sources validation{};
  double validation_ratio = 0.01;
  std::int64_t context_length = 0;
  Packing packing = Packing::kDocuments;
  bool append_eos = true;
  TextRules text{};
  bool shuffle = true;
};

[[nodiscard]] std::unique_ptr<Dataset> make_text_dataset(const TextDataConfig& config,
                                                         const DataContext& context);

}  // namespace clausius
