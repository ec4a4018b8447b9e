// SPDX-License-Identifier: Apache-2.0
// CPU kernels of embedding, compiled once per instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/embedding/embedding_cpu.cpp"
#include <algorithm>
#include <cstring>
#include <span>
#include <vector>

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/ops/embedding/embedding.h"
#include "core/parallel.h"
#include "core/simd/dispatch.h"
#include "core/simd/lane-inl.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::simd::HWY_NAMESPACE {

constexpr std::int64_t kEmbeddingGrain = 1 << 14;
// Columns a task sums at a time; frequent tokens are shared out by columns, rare ones by rows.
constexpr std::int64_t kColumnBlock = 128;

template <class T>
void embedding_rows(const Tensor& tokens, const Tensor& table, Tensor& y) {
  const std::int64_t width = table.size(1);
  const std::int32_t* ids = tokens.data<std::int32_t>();
  const T* from = table.data<T>();
  T* to = y.data<T>();
  parallel_for(tokens.size(0), std::max<std::int64_t>(1, kEmbeddingGrain / width),
               [=](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t n = begin; n < end; ++n) {
                   std::memcpy(to + n * width, from + ids[n] * width,
                               static_cast<std::size_t>(width) * sizeof(T));
                 }
               });
}

// The positions of each token that occurs, in order: positions[first[k]] .. positions[first[k + 1]] belong to tokens[k].
struct Occurrences {
  std::vector<std::int32_t> tokens;
  std::vector<std::int64_t> first;
  std::vector<std::int64_t> positions;
};

// A counting sort.
inline Occurrences occurrences_of(const Tensor& tokens, std::int64_t vocabulary) {
  const std::span<const std::int32_t> ids = tokens.span<std::int32_t>();
  std::vector<std::int64_t> next(static_cast<std::size_t>(vocabulary) + 1, 0);
  for (const std::int32_t id : ids) {
    ++next[static_cast<std::size_t>(id) + 1];
  }
  Occurrences result;
  for (std::size_t id = 0; id + 1 < next.size(); ++id) {
    if (next[id + 1] > 0) {
      result.tokens.push_back(static_cast<std::int32_t>(id));
      result.first.push_back(next[id]);
    }
    next[id + 1] += next[id];
  }
  result.first.push_back(tokens.size(0));
  result.positions.resize(ids.size());
  for (std::size_t n = 0; n < ids.size(); ++n) {
    const auto place = static_cast<std::size_t>(next[static_cast<std::size_t>(ids[n])]++);
    result.positions[place] = static_cast<std::int64_t>(n);
  }
  return result;
}

template <class T>
void embedding_backward_sums(const Tensor& dy, const Tensor& tokens, Tensor& dtable) {
  const std::int64_t width = dtable.size(1);
  const T* gradients = dy.data<T>();
  float* table = dtable.data<float>();
  const Occurrences found = occurrences_of(tokens, dtable.size(0));
  const auto rows = static_cast<std::int64_t>(found.tokens.size());
  const std::int64_t blocks = div_ceil(width, kColumnBlock);
  parallel_for(rows * blocks, 64, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
    for (std::int64_t task = begin; task < end; ++task) {
      const auto row = static_cast<std::size_t>(task % rows);
      const std::int64_t column = (task / rows) * kColumnBlock;
      const std::int64_t length = std::min(kColumnBlock, width - column);
      float* to = table + found.tokens[row] * width + column;
      for (std::int64_t k = found.first[row]; k < found.first[row + 1]; ++k) {
        const T* from = gradients + found.positions[static_cast<std::size_t>(k)] * width + column;
        for_lanes(length, [=](auto part, std::int64_t i) HWY_ATTR {
          part.store(part.load(to + i) + part.load(from + i), to + i);
        });
      }
    }
  });
}

void embedding_forward_f32(const Tensor& tokens, const Tensor& table, Tensor& y) {
  embedding_rows<float>(tokens, table, y);
}
void embedding_forward_bf16(const Tensor& tokens, const Tensor& table, Tensor& y) {
  embedding_rows<bf16>(tokens, table, y);
}
void embedding_backward_f32(const Tensor& dy, const Tensor& tokens, Tensor& dtable) {
  embedding_backward_sums<float>(dy, tokens, dtable);
}
void embedding_backward_bf16(const Tensor& dy, const Tensor& tokens, Tensor& dtable) {
  embedding_backward_sums<bf16>(dy, tokens, dtable);
}

}  // namespace clausius::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace clausius::simd {
CLS_SIMD_KERNEL(embedding_forward, kF32, embedding_forward_f32);
CLS_SIMD_KERNEL(embedding_forward, kBf16, embedding_forward_bf16);
CLS_SIMD_KERNEL(embedding_backward, kF32, embedding_backward_f32);
CLS_SIMD_KERNEL(embedding_backward, kBf16, embedding_backward_bf16);
}  // namespace clausius::simd
#endif  // HWY_ONCE
