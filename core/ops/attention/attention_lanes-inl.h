// SPDX-License-Identifier: Apache-2.0
// SIMD building blocks of the CPU attention kernels: exp2, packing, transposing, portable products.
// Compiled once a target.
#if defined(CLAUSIUS_ATTENTION_LANES_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef CLAUSIUS_ATTENTION_LANES_INL_H
#undef CLAUSIUS_ATTENTION_LANES_INL_H
#else
#define CLAUSIUS_ATTENTION_LANES_INL_H
#endif

#include <cstring>

#include <hwy/cache_control.h>
#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include "core/ops/attention/attention_cpu.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::ops::detail {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// At most 16 lanes, so that a step of 16 rows is a whole number of vectors.
using F = hn::CappedTag<float, 16>;
using I = hn::RebindToSigned<F>;
using U = hn::RebindToUnsigned<F>;
using VF = hn::Vec<F>;
using VI = hn::Vec<I>;
using VU = hn::Vec<U>;

constexpr float kLog2E = 1.44269504088896340736F;
constexpr float kLn2 = 0.69314718055994530942F;
// Running maximum of a row that has seen nothing: far below any score, and finite, so that
// differences are.
constexpr float kNothing = -1.7e38F;

// 2^t for t <= 0 (and a little above): 1.1 ulp; exactly 1 at 0; 0 below -126.5; NaN stays NaN. A
// polynomial on [-1/2, 1/2] with relative error 2.6e-9, times a power of two put together in the
// bits of a rounding constant.
HWY_INLINE VF exp2_of(VF t) {
  const F f;
  const U u;
  const VF round = hn::Set(f, 12582912.0F + 127.0F);  // 1.5 2^23 + exponent bias
  t = hn::Max(hn::Set(f, -127.0F), t);
  const VF biased = hn::Add(t, round);
  const VF x = hn::Sub(t, hn::Sub(biased, round));
  const VF power = hn::BitCast(f, hn::ShiftLeft<23>(hn::BitCast(u, biased)));
  VF p = hn::Set(f, 0.000155946775F);
  p = hn::MulAdd(p, x, hn::Set(f, 0.00134066439F));
  p = hn::MulAdd(p, x, hn::Set(f, 0.00961769297F));
  p = hn::MulAdd(p, x, hn::Set(f, 0.0555031055F));
  p = hn::MulAdd(p, x, hn::Set(f, 0.240226528F));
  p = hn::MulAdd(p, x, hn::Set(f, 0.693147215F));
  p = hn::MulAdd(p, x, hn::Set(f, 1.0F));
  return hn::Mul(p, power);
}

// bf16 bits of v in the low half of each lane, rounded to nearest even. Not for NaNs with payload in
// the low half, which bf16 inputs cannot make.
HWY_INLINE VU bf16_bits(VF v) {
  const U u;
  const VU bits = hn::BitCast(u, v);
  const VU odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(u, 1));
  return hn::ShiftRight<16>(hn::Add(hn::Add(bits, hn::Set(u, 0x7fff)), odd));
}

HWY_INLINE void store_bits(VU bits, bf16* to) {
  const hn::Rebind<std::uint16_t, U> half;
  hn::StoreU(hn::DemoteTo(half, hn::BitCast(I(), bits)), half,
             reinterpret_cast<std::uint16_t*>(to));
}
// Two keys' values as one lane each: low half `even`, high half `odd`.
HWY_INLINE void store_pair(VU even, VU odd, bf16* to) {
  hn::Store(hn::Or(even, hn::ShiftLeft<16>(odd)), U(), reinterpret_cast<std::uint32_t*>(to));
}

// One vector of results; any NaN stays one.
HWY_INLINE void store_lanes(VF v, float* to) {
  hn::StoreU(v, F(), to);
}
HWY_INLINE void store_lanes(VF v, bf16* to) {
  const U u;
  const VU quiet = hn::Set(u, 0x7fc0);
  store_bits(hn::IfThenElse(hn::RebindMask(u, hn::IsNaN(v)), quiet, bf16_bits(v)), to);
}

// ---- packing: rows of a tensor into dense, zero-padded operands ----

HWY_INLINE void copy_row(const float* HWY_RESTRICT from,
                         float* HWY_RESTRICT to,
                         std::int64_t width) {
  const F f;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(f));
  std::int64_t d = 0;
  for (; d + lanes <= width; d += lanes) {
    hn::StoreU(hn::LoadU(f, from + d), f, to + d);
  }
  for (; d < width; ++d) {
    to[d] = from[d];
  }
}
HWY_INLINE void copy_row(const bf16* HWY_RESTRICT from, bf16* HWY_RESTRICT to, std::int64_t width) {
  std::memcpy(to, from, static_cast<std::size_t>(width) * sizeof(bf16));
}
HWY_INLINE void copy_row(const bf16* HWY_RESTRICT from,
                         float* HWY_RESTRICT to,
                         std::int64_t width) {
  for (std::int64_t d = 0; d < width; ++d) {
    to[d] = static_cast<float>(from[d]);
  }
}

// Rows of a strided tensor lie in other pages each, where no hardware prefetcher follows: ask for them a tile ahead.
template <class T>
HWY_INLINE void prefetch_rows(const T* from,
                              std::int64_t row_stride,
                              std::int64_t rows,
                              std::int64_t width) {
  constexpr auto kLine = static_cast<std::int64_t>(64 / sizeof(T));
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t d = 0; d < width; d += kLine) {
      hwy::Prefetch(from + r * row_stride + d);
    }
  }
}

// to[r][padded_width] = from row r (row_stride apart) for r < rows, zero elsewhere up to padded_rows.
template <class In, class T>
HWY_INLINE void pack_rows(const In* from,
                          std::int64_t row_stride,
                          std::int64_t rows,
                          std::int64_t width,
                          T* to,
                          std::int64_t padded_rows,
                          std::int64_t padded_width) {
  for (std::int64_t r = 0; r < rows; ++r, to += padded_width) {
    copy_row(from + r * row_stride, to, width);
    std::memset(static_cast<void*>(to + width), 0,
                static_cast<std::size_t>(padded_width - width) * sizeof(T));
  }
  std::memset(static_cast<void*>(to), 0,
              static_cast<std::size_t>((padded_rows - rows) * padded_width) * sizeof(T));
}

#if HWY_TARGET == HWY_SCALAR

struct Quads {
  float row[4][4];
  static Quads load(const float* from, std::int64_t stride) {
    Quads q;
    for (int r = 0; r < 4; ++r) {
      std::memcpy(q.row[r], from + r * stride, sizeof(q.row[r]));
    }
    return q;
  }
  [[nodiscard]] Quads transposed() const {
    Quads q;
    for (int r = 0; r < 4; ++r) {
      for (int c = 0; c < 4; ++c) {
        q.row[c][r] = row[r][c];
      }
    }
    return q;
  }
  void store_row(int r, float* to) const { std::memcpy(to, row[r], sizeof(row[r])); }
};

#else

// A 4 x 4 block of 32-bit elements.
struct Quads {
  using D = hn::FixedTag<float, 4>;
  hn::Vec<D> row[4];
  HWY_INLINE static Quads load(const float* from, std::int64_t stride) {
    const D d;
    return {{hn::LoadU(d, from), hn::LoadU(d, from + stride), hn::LoadU(d, from + 2 * stride),
             hn::LoadU(d, from + 3 * stride)}};
  }
  [[nodiscard]] HWY_INLINE Quads transposed() const {
    const D d;
    const hn::Repartition<double, D> w;
    const auto low01 = hn::BitCast(w, hn::InterleaveLower(d, row[0], row[1]));
    const auto low23 = hn::BitCast(w, hn::InterleaveLower(d, row[2], row[3]));
    const auto high01 = hn::BitCast(w, hn::InterleaveUpper(d, row[0], row[1]));
    const auto high23 = hn::BitCast(w, hn::InterleaveUpper(d, row[2], row[3]));
    return {{hn::BitCast(d, hn::InterleaveLower(w, low01, low23)),
             hn::BitCast(d, hn::InterleaveUpper(w, low01, low23)),
             hn::BitCast(d, hn::InterleaveLower(w, high01, high23)),
             hn::BitCast(d, hn::InterleaveUpper(w, high01, high23))}};
  }
  HWY_INLINE void store_row(int r, float* to) const { hn::StoreU(row[r], D(), to); }
};

#endif

// to[c][to_stride] = from[r][c]; rows and columns multiples of 4. Any 32-bit elements (moved as
// floats, never computed with).
HWY_INLINE void transpose_words(const float* HWY_RESTRICT from,
                                std::int64_t from_stride,
                                std::int64_t rows,
                                std::int64_t columns,
                                float* HWY_RESTRICT to,
                                std::int64_t to_stride) {
  for (std::int64_t c = 0; c < columns; c += 4) {
    for (std::int64_t r = 0; r < rows; r += 4) {
      const Quads block = Quads::load(from + r * from_stride + c, from_stride).transposed();
      for (int n = 0; n < 4; ++n) {
        block.store_row(n, to + (c + n) * to_stride + r);
      }
    }
  }
}

// bf16: to[r / 2][width] of words (row r in the low half, row r + 1 in the high half); rows even.
HWY_INLINE void interleave_rows(const bf16* HWY_RESTRICT from,
                                std::int64_t rows,
                                std::int64_t width,
                                std::uint32_t* HWY_RESTRICT to) {
  const U u;
  const hn::Rebind<std::uint16_t, U> half;
  for (std::int64_t r = 0; r < rows; r += 2, from += 2 * width, to += width) {
    const auto* even = reinterpret_cast<const std::uint16_t*>(from);
    for (std::int64_t c = 0; c < width; c += static_cast<std::int64_t>(hn::Lanes(u))) {
      const VU low = hn::PromoteTo(u, hn::LoadU(half, even + c));
      const VU high = hn::PromoteTo(u, hn::LoadU(half, even + width + c));
      hn::StoreU(hn::Or(low, hn::ShiftLeft<16>(high)), u, to + c);
    }
  }
}

// Operands of TileProduct made from a dense block of rows [rows][width] (both multiples of 16).
// `transposed_a`: A with m = row, k = column.   `rows_a`: A with m = column, k = row.
// `transposed_b`: B with n = column, k = row.
HWY_INLINE void transposed_a(const float* block, std::int64_t rows, std::int64_t width, float* to) {
  transpose_words(reinterpret_cast<const float*>(block), width, rows, width,
                  reinterpret_cast<float*>(to), kTileRows);
}
HWY_INLINE void transposed_a(const bf16* block, std::int64_t rows, std::int64_t width, bf16* to) {
  transpose_words(reinterpret_cast<const float*>(block), width / 2, rows, width / 2,
                  reinterpret_cast<float*>(to), kTileRows);
}
HWY_INLINE void rows_a(const float* block, std::int64_t rows, std::int64_t width, float* to) {
  std::memcpy(to, block, static_cast<std::size_t>(rows * width) * sizeof(float));
}
HWY_INLINE void rows_a(const bf16* block, std::int64_t rows, std::int64_t width, bf16* to) {
  interleave_rows(block, rows, width, reinterpret_cast<std::uint32_t*>(to));
}
HWY_INLINE void transposed_b(const float* block,
                             std::int64_t width,
                             float* to,
                             float* /*scratch*/) {
  transpose_words(reinterpret_cast<const float*>(block), width, kTileKeys, width,
                  reinterpret_cast<float*>(to), kTileKeys);
}
HWY_INLINE void transposed_b(const bf16* block, std::int64_t width, bf16* to, bf16* scratch) {
  auto* pairs = reinterpret_cast<std::uint32_t*>(scratch);
  interleave_rows(block, kTileKeys, width, pairs);
  transpose_words(reinterpret_cast<const float*>(pairs), width, kTileKeys / 2, width,
                  reinterpret_cast<float*>(to), kTileKeys / 2);
}

// ---- unpacking: f32 sums into rows of a tensor ----

// to = factor from.
template <class Out>
HWY_INLINE void store_scaled(const float* from, float factor, std::int64_t width, Out* to) {
  const F f;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(f));
  std::int64_t d = 0;
  for (; d + lanes <= width; d += lanes) {
    store_lanes(hn::Mul(hn::LoadU(f, from + d), hn::Set(f, factor)), to + d);
  }
  for (; d < width; ++d) {
    to[d] = Out(factor * from[d]);
  }
}

// to row r (row_stride apart) = factor[r] from[.][r], `rows` rows of `width`; `from` has rows of kTileRows and `width` rounded up to 16
// of them. `scratch`: 16 rows of that width.
template <class Out>
HWY_INLINE void unpack_transposed(const float* HWY_RESTRICT from,
                                  const float* HWY_RESTRICT factor,
                                  std::int64_t rows,
                                  std::int64_t width,
                                  float* HWY_RESTRICT scratch,
                                  Out* HWY_RESTRICT to,
                                  std::int64_t row_stride) {
  const std::int64_t padded = round_up(width, kStep);
  for (std::int64_t r = 0; r < rows; r += kStep) {
    transpose_words(from + r, kTileRows, padded, kStep, scratch, padded);
    for (std::int64_t n = 0; n < kStep && r + n < rows; ++n) {
      store_scaled(scratch + n * padded, factor[r + n], width, to + (r + n) * row_stride);
    }
  }
}

// One vector of elements as floats.
HWY_INLINE VF load_lanes(const float* from) {
  return hn::LoadU(F(), from);
}
HWY_INLINE VF load_lanes(const bf16* from) {
  const hn::Rebind<std::uint16_t, U> half;
  const VU bits = hn::PromoteTo(U(), hn::LoadU(half, reinterpret_cast<const std::uint16_t*>(from)));
  return hn::BitCast(F(), hn::ShiftLeft<16>(bits));
}

// Sum of x y over one row.
template <class X, class Y>
HWY_INLINE float dot(const X* x, const Y* y, std::int64_t width) {
  const F f;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(f));
  VF sum = hn::Zero(f);
  std::int64_t e = 0;
  for (; e + lanes <= width; e += lanes) {
    sum = hn::MulAdd(load_lanes(x + e), load_lanes(y + e), sum);
  }
  float total = hn::GetLane(hn::SumOfLanes(f, sum));
  for (; e < width; ++e) {
    total += static_cast<float>(x[e]) * static_cast<float>(y[e]);
  }
  return total;
}

// ---- products ----

// The portable loop behind TileProduct: four columns of C by two vectors of rows at a time.
inline HWY_NOINLINE void portable_product(const TileProduct<float>& p,
                                          const float* a,
                                          const float* b,
                                          float* c) {
  const F f;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(f));
  for (std::int64_t n = 0; n < p.n; n += 4) {
    for (std::int64_t m = 0; m < p.m; m += lanes) {
      float* out = c + n * p.ldc + m;
      VF sum0 = hn::Zero(f), sum1 = hn::Zero(f), sum2 = hn::Zero(f), sum3 = hn::Zero(f);
      if (p.accumulate) {
        sum0 = hn::LoadU(f, out);
        sum1 = hn::LoadU(f, out + p.ldc);
        sum2 = hn::LoadU(f, out + 2 * p.ldc);
        sum3 = hn::LoadU(f, out + 3 * p.ldc);
      }
      const float* x = b + n * p.ldb;
      for (std::int64_t k = 0; k < p.k; ++k) {
        const VF y = hn::LoadU(f, a + k * p.lda + m);
        sum0 = hn::MulAdd(y, hn::Set(f, x[k]), sum0);
        sum1 = hn::MulAdd(y, hn::Set(f, x[k + p.ldb]), sum1);
        sum2 = hn::MulAdd(y, hn::Set(f, x[k + 2 * p.ldb]), sum2);
        sum3 = hn::MulAdd(y, hn::Set(f, x[k + 3 * p.ldb]), sum3);
      }
      hn::StoreU(sum0, f, out);
      hn::StoreU(sum1, f, out + p.ldc);
      hn::StoreU(sum2, f, out + 2 * p.ldc);
      hn::StoreU(sum3, f, out + 3 * p.ldc);
    }
  }
}

template <class T>
HWY_INLINE void multiply(const TileProduct<T>& product, const T* a, const T* b, float* c) {
  if constexpr (std::is_same_v<T, float>) {
    if (product.kernel == nullptr) {
      return portable_product(product, a, b, c);
    }
  }
  product.kernel(a, b, c);
}

}  // namespace HWY_NAMESPACE
}  // namespace clausius::ops::detail
HWY_AFTER_NAMESPACE();
#endif
