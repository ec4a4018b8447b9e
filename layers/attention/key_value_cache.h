// SPDX-License-Identifier: Apache-2.0
// Keys and values of the tokens a softmax mixer has seen.
#pragma once

#include <cstdint>

#include "core/tensor.h"
#include "layers/mixer.h"

// Legend: B batch, S tokens seen, G key/value heads, D head dim.
namespace clausius {

class KeyValueCache final : public MixerState {
 public:
  KeyValueCache(std::int64_t batch,
                std::int64_t capacity,
                std::int64_t heads,
                std::int64_t head_dim,
                Dtype dtype,
                Device device);
  [[nodiscard]] std::int64_t length() const override { return length_; }
  /// Errors: ShapeError when the capacity is exceeded.
  void append(const Tensor& k_BTGD, const Tensor& v_BTGD);
  [[nodiscard]] Tensor keys() const { return keys_.slice(1, 0, length_); }      // B S G D
  [[nodiscard]] Tensor values() const { return values_.slice(1, 0, length_); }  // B S G D

 private:
  Tensor keys_;
  Tensor values_;
  std::int64_t length_ = 0;
};

}  // namespace clausius
