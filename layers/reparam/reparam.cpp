// SPDX-License-Identifier: Apache-2.0
// What every reparametrisation does: which rows it is given, where they lie, and how they are folded.
#include "layers/reparam/reparam.h"

#include <algorithm>
#include <utility>

#include "core/dry_run.h"
#include "core/error.h"

namespace clausius {

bool applies(const ApplyTo& apply_to, LinearPart part) {
  const auto* parts = std::get_if<std::vector<LinearPart>>(&apply_to);
  return parts == nullptr ? part != LinearPart::kHead
                          : std::find(parts->begin(), parts->end(), part) != parts->end();
}

FlatRange ReparamMatrix::elements() const {
  const std::int64_t begin = weight->offset() + first_row * columns();
  return {.begin = begin, .end = begin + rows * columns()};
}

Tensor ReparamMatrix::value() const {
  return weight->master().slice(0, first_row, first_row + rows);
}

Tensor ReparamMatrix::gradient() const {
  return weight->gradient().slice(0, first_row, first_row + rows);
}

Tensor MatrixPiece::of(const Tensor& matrix) const {
  return matrix.slice(0, rows.begin, rows.end).slice(1, columns.begin, columns.end);
}

std::vector<MatrixPiece> pieces_in(const ReparamMatrix& matrix,
                                   const std::vector<FlatRange>& ranges) {
  const FlatRange elements = matrix.elements();
  const std::int64_t width = matrix.columns();
  std::vector<MatrixPiece> pieces;
  for (const FlatRange& range : ranges) {
    std::int64_t at = std::max(range.begin, elements.begin) - elements.begin;
    const std::int64_t end = std::min(range.end, elements.end) - elements.begin;
    while (at < end) {
      const std::int64_t row = at / width;
      const std::int64_t column = at % width;
      const std::int64_t left = end - at;
      const bool whole = column == 0 && left >= width;
      const std::int64_t rows = whole ? left / width : 1;
      const std::int64_t columns = whole ? width : std::min(width - column, left);
      pieces.push_back({.rows = {.begin = row, .end = row + rows},
                        .columns = {.begin = column, .end = column + columns}});
      at += rows * columns;
    }
  }
  return pieces;
}

Reparam::Reparam(const ApplyTo& apply_to, ParameterStore& store, std::uint64_t seed)
    : apply_to_(apply_to), store_(store), seed_(seed) {}

const RowScales& Reparam::add(Parameter& weight,
                              std::vector<WeightRows> rows,
                              const InitStream& init) {
  for (const WeightRows& part : rows) {
    seen_.push_back(part.part);
  }
  RowScales& scales = scales_.emplace_back();
  std::int64_t begin = 0;
  bool plain = false;  // the last run is not scaled
  for (const WeightRows& part : grouped(std::move(rows))) {
    if (!applies(apply_to_, part.part)) {
      plain ? scales.back().rows += part.rows : scales.emplace_back().rows = part.rows;
      plain = true;
      begin += part.rows;
      continue;
    }
    plain = false;
    scales.emplace_back().rows = part.rows;
    const InitStream own = part.name.empty() ? init : init.child(part.name);
    const std::int64_t width = weight.shape()[1];
    weight.exclude_from_decay({.begin = begin * width, .end = (begin + part.rows) * width});
    matrices_.push_back({.path = own.path(),
                         .part = part.part,
                         .layer = part.part == LinearPart::kHead ? -1 : init.shape().layer_index,
                         .weight = &weight,
                         .first_row = begin,
                         .rows = part.rows,
                         .gain = make_gain(own, part.rows)});
    places_.push_back({.scales = scales_.size() - 1, .run = scales.size() - 1});
    begin += part.rows;
  }
  CLS_CHECK(begin == weight.shape()[0], InternalError, weight.path(), ": ", begin,
            " rows are described; it has ", weight.shape()[0]);
  if (std::none_of(matrices_.begin(), matrices_.end(),
                   [&](const ReparamMatrix& matrix) { return matrix.weight == &weight; })) {
    scales.clear();
  }
  return scales;
}

void Reparam::set_alpha(std::size_t matrix, const Tensor& alpha) {
  const Place& place = places_.at(matrix);
  scales_[place.scales][place.run].alpha = alpha;
}

void Reparam::start(bool restored) {
  if (const auto* parts = std::get_if<std::vector<LinearPart>>(&apply_to_)) {
    for (const LinearPart part : *parts) {
      CLS_CHECK(std::find(seen_.begin(), seen_.end(), part) != seen_.end(), ConfigError,
                "model.linear.reparam.apply_to: this model has no part '", word_of(part), "'");
    }
  }
  if (empty()) {
    return;
  }
  allocate();
  if (!restored && !in_dry_run()) {
    initialize();
    begin_evaluation();
  }
}

void Reparam::check_frozen() const {
  for (const ReparamMatrix& matrix : matrices_) {
    CLS_CHECK(!matrix.weight->frozen() || matrix.gain == nullptr || matrix.gain->frozen(),
              ConfigError, "optimizer.groups: ", matrix.weight->path(), " is frozen and ",
              matrix.gain->path(), " is not: its gradient is made from that of the weight");
  }
}

std::vector<PlainWeight> Reparam::fold(SigmaFold fold) const {
  std::vector<PlainWeight> weights;
  for (std::size_t e = 0; e < matrices_.size(); ++e) {
    const ReparamMatrix& matrix = matrices_[e];
    if (weights.empty() || weights.back().path != matrix.weight->path()) {
      weights.push_back(
          {.path = matrix.weight->path(), .value = matrix.weight->master().to(kCpu).clone()});
    }
    weights.back()
        .value.slice(0, matrix.first_row, matrix.first_row + matrix.rows)
        .copy_from(plain(e, fold));
  }
  return weights;
}

}  // namespace clausius
