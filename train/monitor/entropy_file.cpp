// SPDX-License-Identifier: Apache-2.0
// Rows of entropy.h5.
#include "train/monitor/entropy_file.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string>
#include <utility>

#include "train/monitor/head_table.h"

namespace clausius {
namespace {

std::vector<Tensor> rows_until(const std::filesystem::path& file,
                               const std::vector<Hdf5RowSpec>& specs,
                               std::int64_t step) {
  std::vector<Tensor> rows = read_row_datasets(file, specs);
  const auto steps = rows.front().span<std::int64_t>();
  const auto kept =
      std::find_if(steps.begin(), steps.end(), [&](std::int64_t row) { return row > step; }) -
      steps.begin();
  for (Tensor& dataset : rows) {
    dataset = dataset.slice(0, 0, kept).contiguous();
  }
  return rows;
}

constexpr std::array kAlways = {std::pair("entropy_nats", &HeadEntropy::entropy_nats),
                                std::pair("entropy_normalized", &HeadEntropy::entropy_normalized),
                                std::pair("max_logit", &HeadEntropy::max_logit)};

// f32, NaN where the table has no entry.
Tensor as_row(const HeadTable& table, const Shape& shape) {
  Tensor values = Tensor::full(shape, std::numeric_limits<double>::quiet_NaN(), Dtype::kF32);
  const auto most = static_cast<std::size_t>(shape[1]);
  for (std::size_t layer = 0; layer < table.size(); ++layer) {
    for (std::size_t h = 0; h < std::min(most, table[layer].size()); ++h) {
      values.data<float>()[layer * most + h] = static_cast<float>(table[layer][h]);
    }
  }
  return values;
}

template <class Value>
Value found(const std::vector<std::pair<std::string, Value>>& all, const std::string& name) {
  const auto entry = std::ranges::find_if(all, [&](const auto& one) { return one.first == name; });
  return entry != all.end() ? entry->second : Value{};
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) {
    text += (text.empty() ? "" : ",") + part;
  }
  return text;
}

}  // namespace

EntropyFile::EntropyFile(const std::filesystem::path& file,
                         const std::vector<std::int64_t>& heads_per_layer,
                         std::int64_t resume_step,
                         const ObservedNames& observed)
    : layers_(std::ssize(heads_per_layer)), observed_(observed) {
  const std::int64_t most = heads_per_layer.empty()
                                ? 0
                                : *std::max_element(heads_per_layer.begin(), heads_per_layer.end());
  shape_ = {layers_, most};
  std::vector<Hdf5RowSpec> specs = {
      {.name = "step", .dtype = Dtype::kI64, .row_shape = {}, .attributes = {}}};
  const auto add = [&](const std::string& name, const Shape& shape) {
    specs.push_back({.name = name, .dtype = Dtype::kF32, .row_shape = shape, .attributes = {}});
  };
  for (const auto& [name, member] : kAlways) {
    add(name, shape_);
  }
  for (const std::string& name : observed_.heads) {
    add(name, shape_);
  }
  for (const std::string& name : observed_.layers) {
    add(name, {layers_});
  }
  for (const auto& [name, entries] : observed_.named) {
    add(name, {std::ssize(entries)});
    specs.back().attributes["names"] = joined(entries);
  }
  std::vector<std::string> heads;
  for (const std::int64_t count : heads_per_layer) {
    heads.push_back(std::to_string(count));
  }
  const bool resume = resume_step >= 0 && std::filesystem::exists(file);
  writer_ = std::make_unique<Hdf5RowWriter>(
      file, specs, resume ? rows_until(file, specs, resume_step) : std::vector<Tensor>{},
      std::map<std::string, Hdf5Value>{{"heads_per_layer", joined(heads)}});
}

void EntropyFile::on_step(const StepReport& report) {
  if (!report.sampled) {
    return;
  }
  std::vector<Tensor> row = {Tensor::from(std::vector<std::int64_t>{report.step}, {})};
  for (const auto& [name, member] : kAlways) {
    row.push_back(as_row(head_table(report.entropy, member), shape_));
  }
  for (const std::string& name : observed_.heads) {
    row.push_back(as_row(found(report.heads, name), shape_));
  }
  for (const std::string& name : observed_.layers) {
    row.push_back(as_row({found(report.layers, name)}, {1, layers_}).reshape({layers_}));
  }
  for (const auto& [name, entries] : observed_.named) {
    std::vector<double> values;
    for (const auto& [entry, value] : found(report.named, name)) {
      values.push_back(value);
    }
    const std::int64_t count = std::ssize(entries);
    row.push_back(as_row({values}, {1, count}).reshape({count}));
  }
  writer_->append(row);
}

}  // namespace clausius
