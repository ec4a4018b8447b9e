// SPDX-License-Identifier: Apache-2.0
// The knobs that all data kinds of language modelling share.
#pragma once

#include <cstdint>
#include <optional>

#include "data/dataset.h"
#include "data/row_table.h"
#include "data/sources.h"
#include "data/token_dataset.h"

namespace clausius {

struct LanguageConfig {
  Sources train{};
  std::optional<Sources> validation{};
  std::optional<double> validation_ratio{};
  std::int64_t context_length = 0;
  Packing packing = Packing::kDocuments;
  bool shuffle = true;
  std::int64_t prefetch = 2;

  void visit(ConfigVisitor& v);
  void validate(const ConfigCheck& check) const;
  [[nodiscard]] DataTraits facts() const;
  /// All of a plan but its stores.
  [[nodiscard]] TokenDatasetPlan plan(const DataContext& context) const;
};

}  // namespace clausius
