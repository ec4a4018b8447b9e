// SPDX-License-Identifier: Apache-2.0
// CPU kernel of spectral_refresh, compiled once per instruction set: four rows at a time are multiplied by u, and while they
// are in the nearest cache added up with those products as factors.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/spectral_refresh/spectral_refresh_cpu.cpp"
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/ops/spectral_refresh/spectral_refresh.h"
#include "core/ops/spectral_refresh/spectral_refresh_reference.h"
#include "core/parallel.h"
#include "core/simd/dispatch.h"

#ifndef CLAUSIUS_SPECTRAL_REFRESH_PLAN
#define CLAUSIUS_SPECTRAL_REFRESH_PLAN
namespace clausius::simd {

// Rows of one task: enough that its sum of columns, in f64, is a small part of what it reads.
constexpr std::int64_t kSpectralRows = 64;

struct SpectralTask {
  std::size_t matrix = 0;
  std::int64_t first_row = 0;
  std::int64_t partial_at = 0;
};

struct SpectralMatrix {
  const float* weight = nullptr;
  std::int64_t row_step = 0;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t u_at = 0;
  std::int64_t v_at = 0;
  std::int64_t partial_at = 0;
};

struct SpectralPlan {
  std::vector<SpectralMatrix> matrices;
  std::vector<SpectralTask> tasks;
  std::int64_t partials = 0;

  explicit SpectralPlan(ops::Matrices weights) {
    std::int64_t u_at = 0;
    std::int64_t v_at = 0;
    for (const Tensor& weight : weights) {
      const SpectralMatrix matrix{.weight = weight.data<float>(),
                                  .row_step = weight.stride(0),
                                  .rows = weight.size(0),
                                  .columns = weight.size(1),
                                  .u_at = u_at,
                                  .v_at = v_at,
                                  .partial_at = partials};
      for (std::int64_t row = 0; row < matrix.rows; row += kSpectralRows) {
        tasks.push_back({matrices.size(), row, partials});
        partials += matrix.columns;
      }
      matrices.push_back(matrix);
      u_at += matrix.columns;
      v_at += matrix.rows;
    }
  }
};

}  // namespace clausius::simd
#endif  // CLAUSIUS_SPECTRAL_REFRESH_PLAN

HWY_BEFORE_NAMESPACE();
namespace clausius::simd::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Rows = std::array<const float*, 4>;
using Four = std::array<double, 4>;

HWY_INLINE Four times_u(const Rows& rows, std::int64_t columns, const float* u) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> half;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto sum0 = hn::Zero(d);
  auto sum1 = hn::Zero(d);
  auto sum2 = hn::Zero(d);
  auto sum3 = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + lanes <= columns; i += lanes) {
    const auto right = hn::PromoteTo(d, hn::LoadU(half, u + i));
    sum0 = hn::MulAdd(hn::PromoteTo(d, hn::LoadU(half, rows[0] + i)), right, sum0);
    sum1 = hn::MulAdd(hn::PromoteTo(d, hn::LoadU(half, rows[1] + i)), right, sum1);
    sum2 = hn::MulAdd(hn::PromoteTo(d, hn::LoadU(half, rows[2] + i)), right, sum2);
    sum3 = hn::MulAdd(hn::PromoteTo(d, hn::LoadU(half, rows[3] + i)), right, sum3);
  }
  Four t = {hn::GetLane(hn::SumOfLanes(d, sum0)), hn::GetLane(hn::SumOfLanes(d, sum1)),
            hn::GetLane(hn::SumOfLanes(d, sum2)), hn::GetLane(hn::SumOfLanes(d, sum3))};
  for (; i < columns; ++i) {
    for (std::size_t k = 0; k < 4; ++k) {
      t[k] += static_cast<double>(rows[k][i]) * static_cast<double>(u[i]);
    }
  }
  return t;
}

HWY_INLINE void add_times_t(const Rows& rows, const Four& t, std::int64_t columns, double* sums) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> half;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto t0 = hn::Set(d, t[0]);
  const auto t1 = hn::Set(d, t[1]);
  const auto t2 = hn::Set(d, t[2]);
  const auto t3 = hn::Set(d, t[3]);
  std::int64_t i = 0;
  for (; i + lanes <= columns; i += lanes) {
    auto sum = hn::LoadU(d, sums + i);
    sum = hn::MulAdd(t0, hn::PromoteTo(d, hn::LoadU(half, rows[0] + i)), sum);
    sum = hn::MulAdd(t1, hn::PromoteTo(d, hn::LoadU(half, rows[1] + i)), sum);
    sum = hn::MulAdd(t2, hn::PromoteTo(d, hn::LoadU(half, rows[2] + i)), sum);
    sum = hn::MulAdd(t3, hn::PromoteTo(d, hn::LoadU(half, rows[3] + i)), sum);
    hn::StoreU(sum, d, sums + i);
  }
  for (; i < columns; ++i) {
    for (std::size_t k = 0; k < 4; ++k) {
      sums[i] += t[k] * static_cast<double>(rows[k][i]);
    }
  }
}

// t of the task's rows, and (unless null) the sum of t times row into `sums`. Rows beyond the last are the last with t = 0.
void run_task(
    const SpectralMatrix& m, std::int64_t first, const float* u, double* t, double* sums) {
  const std::int64_t end = std::min(m.rows, first + kSpectralRows);
  for (std::int64_t row = first; row < end; row += 4) {
    Rows rows;
    for (std::int64_t k = 0; k < 4; ++k) {
      rows[static_cast<std::size_t>(k)] = m.weight + std::min(row + k, end - 1) * m.row_step;
    }
    Four products = times_u(rows, m.columns, u);
    for (std::int64_t k = 0; k < 4; ++k) {
      double& product = products[static_cast<std::size_t>(k)];
      if (row + k < end) {
        t[row + k] = product;
      } else {
        product = 0;
      }
    }
    if (sums != nullptr) {
      add_times_t(rows, products, m.columns, sums);
    }
  }
}

double squares_of(const double* x, std::int64_t count) {
  double sum = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    sum += x[i] * x[i];
  }
  return sum;
}

// Normalises, from t and the tasks' sums; the first task's place holds r in the end.
double finish_matrix(
    const SpectralMatrix& m, const double* t, double* partial, bool update, float* u, float* v) {
  double sigma = std::sqrt(squares_of(t, m.rows));
  const double v_norm = sigma;
  if (update && ops::detail::is_divisor(v_norm)) {
    for (std::int64_t at = m.columns; at < div_ceil(m.rows, kSpectralRows) * m.columns;
         at += m.columns) {
      for (std::int64_t i = 0; i < m.columns; ++i) {
        partial[i] += partial[at + i];
      }
    }
    const double u_norm = std::sqrt(squares_of(partial, m.columns));
    sigma = u_norm / v_norm;
    if (ops::detail::is_divisor(sigma)) {
      for (std::int64_t i = 0; i < m.columns; ++i) {
        u[i] = static_cast<float>(partial[i] / u_norm);
      }
    }
  }
  const bool usable = ops::detail::is_divisor(sigma);
  for (std::int64_t i = 0; i < m.rows; ++i) {
    v[i] = usable ? static_cast<float>(t[i] / v_norm) : 0.0F;
  }
  return usable ? sigma : ops::detail::refused_sigma(sigma);
}

void spectral_refresh_f32(
    ops::Matrices weights, Tensor& u, Tensor& v, Tensor& sigma, int power_iterations) {
  const SpectralPlan plan(weights);
  const bool update = power_iterations > 0;
  std::vector<double> t(static_cast<std::size_t>(v.numel()));
  std::vector<double> partial(static_cast<std::size_t>(update ? plan.partials : 0));
  for (int i = 0; i < std::max(1, power_iterations); ++i) {
    std::fill(partial.begin(), partial.end(), 0.0);
    parallel_for(std::ssize(plan.tasks), 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t at = begin; at < end; ++at) {
        const SpectralTask& task = plan.tasks[static_cast<std::size_t>(at)];
        const SpectralMatrix& m = plan.matrices[task.matrix];
        run_task(m, task.first_row, u.data<float>() + m.u_at, t.data() + m.v_at,
                 update ? partial.data() + task.partial_at : nullptr);
      }
    });
    parallel_for(std::ssize(plan.matrices), 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t e = begin; e < end; ++e) {
        const SpectralMatrix& m = plan.matrices[static_cast<std::size_t>(e)];
        sigma.data<float>()[e] = static_cast<float>(
            finish_matrix(m, t.data() + m.v_at, update ? partial.data() + m.partial_at : nullptr,
                          update, u.data<float>() + m.u_at, v.data<float>() + m.v_at));
      }
    });
  }
}

}  // namespace clausius::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace clausius::simd {
CLS_SIMD_KERNEL(spectral_refresh, kF32, spectral_refresh_f32);
}  // namespace clausius::simd
#endif  // HWY_ONCE
