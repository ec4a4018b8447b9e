// SPDX-License-Identifier: Apache-2.0
// CPU kernels of dropout, compiled once per instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/dropout/dropout_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/ops/dropout/dropout.h"
#include "core/ops/dropout/dropout_reference.h"
#include "core/parallel.h"
#include "core/simd/dispatch.h"
#include "core/simd/philox-inl.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::simd::HWY_NAMESPACE {

// Elements a task handles; four a block of random words.
constexpr std::int64_t kDropoutPiece = 1 << 14;

// Elements [first, first + n) of one sample, `first` a multiple of 4.
template <class T>
HWY_INLINE void dropout_run(const RandomStream& stream,
                            std::uint32_t threshold,
                            float factor,
                            std::int64_t first,
                            std::int64_t n,
                            const T* x,
                            T* y) {
  HWY_ALIGN std::uint32_t words[4 * kMaxLanes];
  const PhiloxBlocks blocks(stream);
  const std::int64_t lanes = Lane::size();
  const auto limit = hn::Set(Words(), threshold);
  const Lane scale(factor);
  for (std::int64_t i = 0; i < n; i += 4 * lanes) {
    blocks.words(static_cast<std::uint32_t>((first + i) / 4), words);
    for_lanes(std::min(n - i, 4 * lanes), [&](auto part, std::int64_t j) HWY_ATTR {
      prefetch(x + i + j + 512);
      const auto word = hn::Load(Words(), words + j);
      const auto kept = hn::RebindMask(Floats(), hn::Eq(hn::Max(word, limit), word));
      const Lane value = scale * part.load(x + i + j);
      part.store(Lane(hn::IfThenElseZero(kept, value.raw)), y + i + j);
    });
  }
}

template <class T>
void dropout_samples(
    const Tensor& x, const Tensor& samples, Tensor& y, double p, const RandomStream& stream) {
  const std::int64_t width = x.size(1);
  const std::int64_t pieces = div_ceil(width, kDropoutPiece);
  const std::uint32_t threshold = ops::dropout_threshold(p);
  const auto factor = static_cast<float>(1.0 / (1.0 - p));
  parallel_for(
      x.size(0) * pieces, std::max<std::int64_t>(1, kDropoutPiece / width),
      [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
        for (std::int64_t task = begin; task < end; ++task) {
          const std::int64_t row = task / pieces;
          const std::int64_t first = (task % pieces) * kDropoutPiece;
          const RandomStream own = ops::stream_of_sample(stream, samples.data<std::int64_t>()[row]);
          const std::int64_t at = row * width + first;
          dropout_run(own, threshold, factor, first, std::min(kDropoutPiece, width - first),
                      x.data<T>() + at, y.data<T>() + at);
        }
      });
}

void dropout_f32(
    const Tensor& x, const Tensor& samples, Tensor& y, double p, const RandomStream& stream) {
  dropout_samples<float>(x, samples, y, p, stream);
}
void dropout_bf16(
    const Tensor& x, const Tensor& samples, Tensor& y, double p, const RandomStream& stream) {
  dropout_samples<bf16>(x, samples, y, p, stream);
}

}  // namespace clausius::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace clausius::simd {
CLS_SIMD_KERNEL(dropout, kF32, dropout_f32);
CLS_SIMD_KERNEL(dropout, kBf16, dropout_bf16);
}  // namespace clausius::simd
#endif  // HWY_ONCE
