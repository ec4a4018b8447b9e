// SPDX-License-Identifier: Apache-2.0
// HeadHistory.
#include "train/web/head_history.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <limits>

#include "core/error.h"
#include "core/io/hdf5.h"

namespace clausius::web {
namespace {

constexpr std::int64_t kChunk = 512;  // rows read at once

struct Listed {
  std::string name;
  std::int64_t layers = 0;
  std::int64_t heads = 0;
  std::int64_t rows = 0;
};

// [rows, layers, heads], real. What has a row by layer or by matrix stands in metrics.jsonl too, and is drawn from there.
std::vector<Listed> measures_of(const Hdf5Reader& file) {
  std::vector<Listed> found;
  for (const std::string& name : file.datasets()) {
    const Hdf5DatasetInfo info = file.info(name);
    if (!info.is_text && is_floating(info.dtype) && info.shape.rank() == 3 && info.shape[1] > 0 &&
        info.shape[2] > 0) {
      found.push_back({name, info.shape[1], info.shape[2], info.shape[0]});
    }
  }
  return found;
}

std::vector<std::int64_t> heads_per_layer_of(const Hdf5Reader& file) {
  std::vector<std::int64_t> heads;
  const auto attribute = file.attribute("/", "heads_per_layer");
  const auto* text = attribute ? std::get_if<std::string>(&*attribute) : nullptr;
  if (text == nullptr) {
    return heads;
  }
  for (const char* place = text->data(); place < text->data() + text->size(); ++place) {
    std::int64_t count = 0;
    place = std::from_chars(place, text->data() + text->size(), count).ptr;
    heads.push_back(count);
  }
  return heads;
}

// The rows that `step` and every measure have.
std::int64_t common_rows(const Hdf5Reader& file, const std::vector<Listed>& measures) {
  std::int64_t rows = file.contains("step") ? file.info("step").shape[0] : 0;
  for (const Listed& measure : measures) {
    rows = std::min(rows, measure.rows);
  }
  return rows;
}

std::vector<std::int64_t> steps_of(const Hdf5Reader& file, std::int64_t begin, std::int64_t end) {
  const Tensor steps = file.rows("step", begin, end);
  CLS_CHECK(steps.dtype() == Dtype::kI64, IoError, "entropy.h5: 'step' is not of 64-bit integers");
  return {steps.data<std::int64_t>(), steps.data<std::int64_t>() + steps.numel()};
}

std::vector<float> floats_of(const Hdf5Reader& file,
                             const std::string& name,
                             std::int64_t begin,
                             std::int64_t end) {
  const Tensor rows = file.rows(name, begin, end).to(Dtype::kF32);
  return {rows.data<float>(), rows.data<float>() + rows.numel()};
}

bool same_measures(const std::vector<HeadMeasure>& known, const std::vector<Listed>& listed) {
  return std::equal(known.begin(), known.end(), listed.begin(), listed.end(),
                    [](const HeadMeasure& a, const Listed& b) {
                      return a.name == b.name && a.layers == b.layers && a.heads == b.heads;
                    });
}

HeadMeasure empty_measure(const std::string& name, std::int64_t layers, std::int64_t heads) {
  return {.name = name,
          .layers = layers,
          .heads = heads,
          .bins = Bins<float>(static_cast<std::size_t>(layers * heads))};
}

// A writer that was killed may have left its last rows without data.
std::int64_t readable_rows(const Hdf5Reader& file,
                           const std::vector<Listed>& measures,
                           std::int64_t begin,
                           std::int64_t end) {
  for (; end > begin; --end) {
    try {
      static_cast<void>(steps_of(file, end - 1, end));
      for (const Listed& measure : measures) {
        static_cast<void>(file.rows(measure.name, end - 1, end));
      }
      break;
    } catch (const IoError&) {
      continue;
    }
  }
  return end;
}

}  // namespace

void HeadHistory::start(std::vector<HeadMeasure> measures) {
  measures_ = std::move(measures);
  ++epoch_;
}

void HeadHistory::clear() {
  seen_.reset();
  heads_per_layer_.clear();
  if (!measures_.empty()) {
    start({});
  }
}

const HeadMeasure* HeadHistory::find(std::string_view name) const {
  for (const HeadMeasure& measure : measures_) {
    if (measure.name == name) {
      return &measure;
    }
  }
  return nullptr;
}

bool HeadHistory::read(const std::filesystem::path& entropy_file) {
  const std::optional<FileSignature> now = signature_of(entropy_file);
  if (!now || now == seen_) {
    return false;
  }
  const Hdf5Reader file(entropy_file);
  const std::vector<Listed> listed = measures_of(file);
  const bool known = seen_ && now->same_file(*seen_) && same_measures(measures_, listed);
  std::int64_t begin = known ? rows() : 0;
  const std::int64_t end = readable_rows(file, listed, begin, common_rows(file, listed));
  if (!known || end < begin ||
      (begin > 0 && steps_of(file, begin - 1, begin).front() != measures_[0].bins.steps().back())) {
    std::vector<HeadMeasure> fresh;
    for (const Listed& measure : listed) {
      fresh.push_back(empty_measure(measure.name, measure.layers, measure.heads));
    }
    start(std::move(fresh));
    heads_per_layer_ = heads_per_layer_of(file);
    begin = 0;
  }
  for (std::int64_t first = begin; first < end; first += kChunk) {
    const std::int64_t last = std::min(end, first + kChunk);
    const std::vector<std::int64_t> steps = steps_of(file, first, last);
    std::vector<std::vector<float>> values;
    for (const HeadMeasure& measure : measures_) {
      values.push_back(floats_of(file, measure.name, first, last));
    }
    for (std::size_t m = 0; m < measures_.size(); ++m) {
      Bins<float>& bins = measures_[m].bins;
      for (std::size_t row = 0; row < steps.size(); ++row) {
        bins.add(steps[row], std::span(values[m]).subspan(row * bins.width(), bins.width()));
      }
    }
  }
  seen_ = now;
  return true;
}

void HeadHistory::take(const std::vector<std::int64_t>& steps,
                       const std::map<std::string, std::vector<HeadTable>>& tables) {
  std::vector<HeadMeasure> fresh;
  heads_per_layer_.clear();
  seen_.reset();
  for (const auto& [name, rows] : tables) {
    std::int64_t layers = 0;
    std::int64_t heads = 0;
    for (const HeadTable& table : rows) {
      layers = std::max(layers, static_cast<std::int64_t>(table.size()));
      heads_per_layer_.resize(std::max(heads_per_layer_.size(), table.size()));
      for (std::size_t layer = 0; layer < table.size(); ++layer) {
        const auto count = static_cast<std::int64_t>(table[layer].size());
        heads_per_layer_[layer] = std::max(heads_per_layer_[layer], count);
        heads = std::max(heads, count);
      }
    }
    if (layers == 0 || heads == 0) {
      continue;
    }
    HeadMeasure measure = empty_measure(name, layers, heads);
    for (std::size_t i = 0; i < steps.size(); ++i) {
      std::vector<float> row(measure.bins.width(), std::numeric_limits<float>::quiet_NaN());
      for (std::size_t layer = 0; i < rows.size() && layer < rows[i].size(); ++layer) {
        for (std::size_t head = 0; head < rows[i][layer].size(); ++head) {
          row[layer * static_cast<std::size_t>(heads) + head] =
              static_cast<float>(rows[i][layer][head]);
        }
      }
      measure.bins.add(steps[i], row);
    }
    fresh.push_back(std::move(measure));
  }
  start(std::move(fresh));
}

std::optional<HeadRow> nearest_row(const std::filesystem::path& entropy_file, std::int64_t step) {
  if (!signature_of(entropy_file)) {
    return std::nullopt;
  }
  const Hdf5Reader file(entropy_file);
  const std::vector<Listed> measures = measures_of(file);
  const std::int64_t rows = readable_rows(file, measures, 0, common_rows(file, measures));
  if (rows == 0) {
    return std::nullopt;
  }
  const std::vector<std::int64_t> steps = steps_of(file, 0, rows);
  const auto nearest = std::min_element(
      steps.begin(), steps.end(),
      [&](std::int64_t a, std::int64_t b) { return std::abs(a - step) < std::abs(b - step); });
  HeadRow row{.step = *nearest, .tables = {}};
  const std::int64_t place = nearest - steps.begin();
  for (const Listed& measure : measures) {
    const std::vector<float> values = floats_of(file, measure.name, place, place + 1);
    HeadTable& table = row.tables[measure.name];
    for (std::int64_t layer = 0; layer < measure.layers; ++layer) {
      const auto begin = values.begin() + layer * measure.heads;
      table.emplace_back(begin, begin + measure.heads);
    }
  }
  return row;
}

}  // namespace clausius::web
