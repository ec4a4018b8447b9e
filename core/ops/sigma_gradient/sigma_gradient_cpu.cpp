// SPDX-License-Identifier: Apache-2.0
// CPU kernels of sigma_products and sigma_apply, compiled once per instruction set: chunks of 32 rows of all matrices, shared out
// among the threads.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/sigma_gradient/sigma_gradient_cpu.cpp"
#include <algorithm>
#include <vector>

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/ops/sigma_gradient/sigma_gradient.h"
#include "core/ops/sigma_gradient/sigma_gradient_reference.h"
#include "core/parallel.h"
#include "core/simd/dispatch.h"
#include "core/simd/lane-inl.h"

#ifndef CLAUSIUS_SIGMA_GRADIENT_PLAN
#define CLAUSIUS_SIGMA_GRADIENT_PLAN
namespace clausius::simd {

struct SigmaChunk {
  std::size_t matrix = 0;
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

inline std::vector<SigmaChunk> sigma_chunks(std::span<const ops::SigmaMatrix> matrices) {
  constexpr std::int64_t kRows = 32;
  std::vector<SigmaChunk> chunks;
  for (std::size_t matrix = 0; matrix < matrices.size(); ++matrix) {
    const std::int64_t rows = matrices[matrix].weight_MN.size(0);
    for (std::int64_t row = 0; row < rows; row += kRows) {
      chunks.push_back({.matrix = matrix, .begin = row, .end = std::min(row + kRows, rows)});
    }
  }
  return chunks;
}

/// fn(number of the chunk, chunk), in parallel.
template <class Fn>
void for_each_chunk(const std::vector<SigmaChunk>& chunks, const Fn& fn) {
  parallel_for(std::ssize(chunks), 1, [&](std::int64_t begin, std::int64_t end) {
    for (auto at = static_cast<std::size_t>(begin); at < static_cast<std::size_t>(end); ++at) {
      fn(at, chunks[at]);
    }
  });
}

}  // namespace clausius::simd
#endif  // CLAUSIUS_SIGMA_GRADIENT_PLAN

HWY_BEFORE_NAMESPACE();
namespace clausius::simd::HWY_NAMESPACE {

double inner_product(const float* a, const float* b, std::int64_t count) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> half;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto sum0 = hn::Zero(d);
  auto sum1 = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + 2 * lanes <= count; i += 2 * lanes) {
    sum0 = hn::MulAdd(hn::PromoteTo(d, hn::LoadU(half, a + i)),
                      hn::PromoteTo(d, hn::LoadU(half, b + i)), sum0);
    sum1 = hn::MulAdd(hn::PromoteTo(d, hn::LoadU(half, a + i + lanes)),
                      hn::PromoteTo(d, hn::LoadU(half, b + i + lanes)), sum1);
  }
  double sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(sum0, sum1)));
  for (; i < count; ++i) {
    sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  }
  return sum;
}

// gradient = alpha gradient + factor u
void scale_and_add(float* gradient, const float* u, std::int64_t count, float alpha, float factor) {
  const Lane scale(alpha);
  const Lane along(factor);
  for_lanes(count, [=](auto part, std::int64_t i) HWY_ATTR {
    part.store(mul_add(scale, part.load(gradient + i), along * part.load(u + i)), gradient + i);
  });
}

void sigma_products_f32(std::span<const ops::SigmaMatrix> matrices) {
  const std::vector<SigmaChunk> chunks = sigma_chunks(matrices);
  std::vector<double> partial(chunks.size());
  for_each_chunk(chunks, [&](std::size_t at, const SigmaChunk& chunk) {
    const ops::SigmaMatrix& m = matrices[chunk.matrix];
    double sum = 0;
    for (std::int64_t row = chunk.begin; row < chunk.end; ++row) {
      sum += inner_product(m.weight_MN.data<float>() + row * m.weight_MN.stride(0),
                           m.gradient_MN.data<float>() + row * m.gradient_MN.stride(0),
                           m.weight_MN.size(1));
    }
    partial[at] = sum;
  });
  for (std::size_t at = 0; at < chunks.size(); ++at) {
    const ops::SigmaMatrix& m = matrices[chunks[at].matrix];
    Tensor c = m.c_S;
    double& sum = c.data<double>()[m.slot];
    sum = chunks[at].begin == 0 ? partial[at] : sum + partial[at];
  }
}

void sigma_apply_f32(std::span<const ops::SigmaMatrix> matrices, bool grad_through_sigma) {
  for_each_chunk(sigma_chunks(matrices), [&](std::size_t /*at*/, const SigmaChunk& chunk) {
    const ops::SigmaMatrix& m = matrices[chunk.matrix];
    const auto norm = static_cast<double>(*m.sigma.data<float>());
    const double alpha = (m.gamma ? static_cast<double>(*m.gamma.data<float>()) : 1.0) / norm;
    const double along =
        grad_through_sigma ? -alpha * (ops::detail::sigma_product_of(m) / norm) : 0.0;
    Tensor gradient = m.gradient_MN;
    for (std::int64_t row = chunk.begin; row < chunk.end; ++row) {
      const double factor = along * static_cast<double>(m.v_M.data<float>()[row]);
      scale_and_add(gradient.data<float>() + row * gradient.stride(0), m.u_N.data<float>(),
                    gradient.size(1), static_cast<float>(alpha), static_cast<float>(factor));
    }
  });
}

}  // namespace clausius::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace clausius::simd {
CLS_SIMD_KERNEL(sigma_products, kF32, sigma_products_f32);
CLS_SIMD_KERNEL(sigma_apply, kF32, sigma_apply_f32);
}  // namespace clausius::simd
#endif  // HWY_ONCE
