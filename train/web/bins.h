// SPDX-License-Identifier: Apache-2.0
// Thinning a long series of rows to what a screen shows, without losing a spike.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace clausius::web {

inline constexpr std::size_t kMostBins = 1000;

/// Rows of `width` numbers in at most kMostBins bins. The first row is a bin of its own; bin k after it holds `stride` rows in a row, and
/// shows the last of them with the smallest and largest value of each column. The stride is a power of two: it doubles, and bins merge
/// in pairs, when there are too many. So bins that are full never change while the stride stays, and a page that has them asks for the
/// rest alone.
template <class T>
class Bins {
 public:
  explicit Bins(std::size_t width) : width_(width) {}

  void add(std::int64_t step, std::span<const T> row) {
    if (last_is_full() && size() == kMostBins) {
      merge();  // an odd number of bins leaves the last one half full
    }
    const bool starts = last_is_full();
    ++rows_;
    if (starts) {
      steps_.push_back(step);
      for (std::vector<T>* column : {&values_, &low_, &high_}) {
        column->insert(column->end(), row.begin(), row.end());
      }
      return;
    }
    steps_.back() = step;
    const std::size_t first = values_.size() - width_;
    for (std::size_t i = 0; i < width_; ++i) {
      values_[first + i] = row[i];
      widen(first + i, row[i], row[i]);
    }
  }

  [[nodiscard]] std::size_t size() const { return steps_.size(); }
  [[nodiscard]] std::size_t width() const { return width_; }
  [[nodiscard]] std::int64_t rows() const { return rows_; }
  [[nodiscard]] std::int64_t stride() const { return stride_; }
  /// The step of each bin's last row.
  [[nodiscard]] const std::vector<std::int64_t>& steps() const { return steps_; }
  /// Of bins [first, size()), one after the other.
  [[nodiscard]] std::span<const T> values(std::size_t first) const { return from(values_, first); }
  [[nodiscard]] std::span<const T> low(std::size_t first) const { return from(low_, first); }
  [[nodiscard]] std::span<const T> high(std::size_t first) const { return from(high_, first); }

 private:
  // Row 0 fills the first bin; rows 1 .. rows_-1 lie in those after it.
  [[nodiscard]] bool last_is_full() const { return rows_ < 2 || (rows_ - 1) % stride_ == 0; }

  [[nodiscard]] std::span<const T> from(const std::vector<T>& column, std::size_t first) const {
    return std::span<const T>(column).subspan(first * width_);
  }

  // NaN is no value: it neither widens a range nor hides one.
  void widen(std::size_t place, T low, T high) {
    low_[place] = std::fmin(low_[place], low);
    high_[place] = std::fmax(high_[place], high);
  }

  void merge() {
    std::size_t kept = 1;
    for (std::size_t bin = 1; bin < size(); bin += 2, ++kept) {
      const std::size_t second = bin + 1 < size() ? bin + 1 : bin;
      steps_[kept] = steps_[second];
      for (std::size_t i = 0; i < width_; ++i) {
        const std::size_t to = kept * width_ + i;
        values_[to] = values_[second * width_ + i];
        low_[to] = std::fmin(low_[bin * width_ + i], low_[second * width_ + i]);
        high_[to] = std::fmax(high_[bin * width_ + i], high_[second * width_ + i]);
      }
    }
    steps_.resize(kept);
    for (std::vector<T>* column : {&values_, &low_, &high_}) {
      column->resize(kept * width_);
    }
    stride_ *= 2;
  }

  std::size_t width_;
  std::int64_t rows_ = 0;
  std::int64_t stride_ = 1;
  std::vector<std::int64_t> steps_;
  std::vector<T> values_;
  std::vector<T> low_;
  std::vector<T> high_;
};

}  // namespace clausius::web
