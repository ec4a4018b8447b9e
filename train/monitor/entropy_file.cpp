// SPDX-License-Identifier: Apache-2.0
// Rows of entropy.h5.
#include "train/monitor/entropy_file.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string>

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

}  // namespace

EntropyFile::EntropyFile(const std::filesystem::path& file,
                         const std::vector<std::int64_t>& heads_per_layer,
                         std::int64_t resume_step) {
  const std::int64_t most = heads_per_layer.empty()
                                ? 0
                                : *std::max_element(heads_per_layer.begin(), heads_per_layer.end());
  shape_ = {static_cast<std::int64_t>(heads_per_layer.size()), most};
  std::vector<Hdf5RowSpec> specs = {
      {.name = "step", .dtype = Dtype::kI64, .row_shape = {}, .attributes = {}}};
  for (const char* name : {"entropy_nats", "entropy_normalized", "max_logit"}) {
    specs.push_back({.name = name, .dtype = Dtype::kF32, .row_shape = shape_, .attributes = {}});
  }
  std::string heads;
  for (const std::int64_t count : heads_per_layer) {
    heads += (heads.empty() ? "" : ",") + std::to_string(count);
  }
  const bool resume = resume_step >= 0 && std::filesystem::exists(file);
  writer_ = std::make_unique<Hdf5RowWriter>(
      file, specs, resume ? rows_until(file, specs, resume_step) : std::vector<Tensor>{},
      std::map<std::string, Hdf5Value>{{"heads_per_layer", heads}});
}

void EntropyFile::on_step(const StepReport& report) {
  if (!report.sampled) {
    return;
  }
  const std::array members = {&HeadEntropy::entropy_nats, &HeadEntropy::entropy_normalized,
                              &HeadEntropy::max_logit};
  std::vector<Tensor> row = {Tensor::from(std::vector<std::int64_t>{report.step}, {})};
  for (double HeadEntropy::*member : members) {
    Tensor values = Tensor::full(shape_, std::numeric_limits<double>::quiet_NaN(), Dtype::kF32);
    for (std::size_t layer = 0; layer < report.entropy.size(); ++layer) {
      for (std::size_t h = 0; h < report.entropy[layer].size(); ++h) {
        const auto index =
            static_cast<std::int64_t>(layer) * shape_[1] + static_cast<std::int64_t>(h);
        values.data<float>()[index] = static_cast<float>(report.entropy[layer][h].*member);
      }
    }
    row.push_back(values);
  }
  writer_->append(row);
}

}  // namespace clausius
