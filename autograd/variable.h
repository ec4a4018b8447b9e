// SPDX-License-Identifier: Apache-2.0
// Variable: a tensor and its place on a tape.
#pragma once

#include <cstdint>
#include <utility>

#include "core/tensor.h"

namespace clausius {

class Tape;

/// A value that may carry a tape. Ops on Variables record themselves on the tape of their inputs; a
/// Variable without a tape is a constant and costs nothing. Copies share the value and the place on
/// the tape.
class Variable {
 public:
  Variable() = default;
  /// A constant.
  explicit Variable(Tensor value) : value_(std::move(value)) {}

  [[nodiscard]] const Tensor& value() const { return value_; }
  [[nodiscard]] bool defined() const { return value_.defined(); }
  /// True when a gradient can flow back through this value.
  [[nodiscard]] bool tracked() const { return tape_ != nullptr; }
  [[nodiscard]] Tape* tape() const { return tape_; }
  [[nodiscard]] int slot() const { return slot_; }
  /// The same value as a constant.
  [[nodiscard]] Variable detached() const { return Variable(value_); }

  [[nodiscard]] const Shape& shape() const { return value_.shape(); }
  [[nodiscard]] std::int64_t size(int axis) const { return value_.size(axis); }
  [[nodiscard]] int rank() const { return value_.rank(); }
  [[nodiscard]] Dtype dtype() const { return value_.dtype(); }

 private:
  friend class Tape;
  Variable(Tensor value, Tape* tape, int slot)
      : value_(std::move(value)), tape_(tape), slot_(slot) {}

  Tensor value_;
  Tape* tape_ = nullptr;
  int slot_ = -1;
};

}  // namespace clausius
