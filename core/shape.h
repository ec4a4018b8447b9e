// SPDX-License-Identifier: Apache-2.0
// A small fixed-capacity list of extents or strides.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <ostream>
#include <span>

#include "core/error.h"

namespace clausius {

inline constexpr int kMaxRank = 6;

class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<std::int64_t> sizes)
      : Shape(std::span(sizes.begin(), sizes.size())) {}
  explicit Shape(std::span<const std::int64_t> sizes) {
    for (std::int64_t size : sizes) {
      push_back(size);
    }
  }

  [[nodiscard]] int rank() const { return rank_; }
  [[nodiscard]] std::int64_t operator[](int axis) const { return sizes_[index(axis)]; }
  std::int64_t& operator[](int axis) { return sizes_[index(axis)]; }
  [[nodiscard]] const std::int64_t* begin() const { return sizes_.data(); }
  [[nodiscard]] const std::int64_t* end() const { return sizes_.data() + rank_; }
  [[nodiscard]] std::int64_t numel() const {
    std::int64_t n = 1;
    for (std::int64_t size : *this) {
      n *= size;
    }
    return n;
  }
  void push_back(std::int64_t size) {
    CLS_CHECK(rank_ < kMaxRank, ShapeError, "more than ", kMaxRank, " dimensions");
    sizes_[static_cast<std::size_t>(rank_++)] = size;
  }
  /// Row-major strides of a dense tensor of this shape, in elements.
  [[nodiscard]] Shape dense_strides() const {
    Shape strides = *this;
    std::int64_t step = 1;
    for (int axis = rank_ - 1; axis >= 0; --axis) {
      strides[axis] = step;
      step *= (*this)[axis];
    }
    return strides;
  }
  friend bool operator==(const Shape& a, const Shape& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }
  friend std::ostream& operator<<(std::ostream& out, const Shape& shape) {
    out << '(';
    for (int axis = 0; axis < shape.rank_; ++axis) {
      out << (axis == 0 ? "" : ", ") << shape[axis];
    }
    return out << ')';
  }

 private:
  [[nodiscard]] std::size_t index(int axis) const {
    const int index = axis < 0 ? axis + rank_ : axis;
    CLS_CHECK(index >= 0 && index < rank_, ShapeError, "axis ", axis, " of a tensor of rank ",
              rank_);
    return static_cast<std::size_t>(index);
  }

  std::array<std::int64_t, kMaxRank> sizes_{};
  int rank_ = 0;
};

}  // namespace clausius
