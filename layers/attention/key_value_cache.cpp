// SPDX-License-Identifier: Apache-2.0
// The growing cache of keys and values.
#include "layers/attention/key_value_cache.h"

#include "core/error.h"

namespace clausius {

KeyValueCache::KeyValueCache(std::int64_t batch,
                             std::int64_t capacity,
                             std::int64_t heads,
                             std::int64_t head_dim,
                             Dtype dtype,
                             Device device)
    : keys_(Tensor::empty({batch, capacity, heads, head_dim}, dtype, device)),
      values_(Tensor::empty({batch, capacity, heads, head_dim}, dtype, device)) {}

void KeyValueCache::append(const Tensor& k_BTGD, const Tensor& v_BTGD) {
  const std::int64_t end = length_ + k_BTGD.size(1);
  CLS_CHECK(end <= keys_.size(1), ShapeError, "key-value cache of ", keys_.size(1),
            " tokens is full: ", length_, " held, ", k_BTGD.size(1), " more asked for");
  keys_.slice(1, length_, end).copy_from(k_BTGD);
  values_.slice(1, length_, end).copy_from(v_BTGD);
  length_ = end;
}

}  // namespace clausius
