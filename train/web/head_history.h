// SPDX-License-Identifier: Apache-2.0
// What a run has recorded of every head, step by step: entropy.h5, whatever datasets it has, or the tables of metrics.jsonl.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "train/monitor/head_table.h"
#include "train/web/bins.h"
#include "train/web/file_tail.h"

namespace clausius::web {

/// One number per layer and head, over the steps.
struct HeadMeasure {
  std::string name;
  std::int64_t layers = 0;
  std::int64_t heads = 0;
  Bins<float> bins;
};

class HeadHistory {
 public:
  /// Takes the rows that entropy.h5 has gained; starts over when it is another file, or has other datasets, than before.
  /// Value:   whether anything changed.
  /// Errors:  IoError when the file cannot be read; what was known stays.
  bool read(const std::filesystem::path& entropy_file);
  /// The same from tables by name, step by step: for a run without a readable entropy.h5.
  void take(const std::vector<std::int64_t>& steps,
            const std::map<std::string, std::vector<HeadTable>>& tables);
  void clear();

  [[nodiscard]] const std::vector<HeadMeasure>& measures() const { return measures_; }
  [[nodiscard]] const HeadMeasure* find(std::string_view name) const;
  /// Empty when not known: all layers have as many heads as the widest.
  [[nodiscard]] const std::vector<std::int64_t>& heads_per_layer() const {
    return heads_per_layer_;
  }
  [[nodiscard]] std::int64_t rows() const {
    return measures_.empty() ? 0 : measures_[0].bins.rows();
  }
  /// Another number whenever what was there before is no longer a beginning of what is there now.
  [[nodiscard]] std::int64_t epoch() const { return epoch_; }

 private:
  void start(std::vector<HeadMeasure> measures);

  std::vector<HeadMeasure> measures_;
  std::vector<std::int64_t> heads_per_layer_;
  std::optional<FileSignature> seen_;
  std::int64_t epoch_ = 0;
};

/// All measures at the logged step nearest to `step`, exactly as entropy.h5 has them.
struct HeadRow {
  std::int64_t step = 0;
  std::map<std::string, HeadTable> tables;
};
/// Errors: IoError when the file cannot be read.
[[nodiscard]] std::optional<HeadRow> nearest_row(const std::filesystem::path& entropy_file,
                                                 std::int64_t step);

}  // namespace clausius::web
