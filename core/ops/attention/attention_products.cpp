// SPDX-License-Identifier: Apache-2.0
// What the CPU attention kernels need once for all instruction sets: libxsmm's generated products,
// and tile plans.
#include <algorithm>

#include "core/checked.h"
#include "core/libraries.h"
#include "core/ops/attention/attention_cpu.h"

#if defined(__x86_64__)
#include <libxsmm.h>
#endif

namespace clausius::ops::detail {

#if defined(__x86_64__)
namespace {
std::string libxsmm_version() {
  return concat(LIBXSMM_VERSION, ", ", libxsmm_get_target_arch());
}
CLS_LIBRARY("libxsmm", libxsmm_version);
}  // namespace
#endif

template <class T>
TileProduct<T> TileProduct<T>::make(std::int64_t m,
                                    std::int64_t n,
                                    std::int64_t k,
                                    std::int64_t lda,
                                    std::int64_t ldb,
                                    std::int64_t ldc,
                                    bool accumulate,
                                    bool jit) {
  TileProduct product{m, n, k, lda, ldb, ldc, accumulate, nullptr};
#if defined(__x86_64__)
  if (jit) {
    const auto M = narrow<int>(m), N = narrow<int>(n), K = narrow<int>(k);
    const auto a = narrow<int>(lda), b = narrow<int>(ldb), c = narrow<int>(ldc);
    const float alpha = 1.0F;
    const float beta = accumulate ? 1.0F : 0.0F;
    if constexpr (std::is_same_v<T, float>) {
      product.kernel = reinterpret_cast<Kernel>(
          libxsmm_smmdispatch(M, N, K, &a, &b, &c, &alpha, &beta, nullptr, nullptr));
    } else {
      product.kernel = reinterpret_cast<Kernel>(
          libxsmm_bsmmdispatch(M, N, K, &a, &b, &c, &alpha, &beta, nullptr, nullptr));
    }
  }
#endif
  return product;
}

template struct TileProduct<float>;
template struct TileProduct<bf16>;

bool has_bf16_products() {
  static const bool has =
      TileProduct<bf16>::make(16, 16, 16, 16, 16, 16, true, true).kernel != nullptr;
  return has;
}

TilePlan plan_tile(const std::int32_t* begin,
                   const std::int32_t* end,
                   std::int64_t rows,
                   std::int64_t first_key) {
  TilePlan plan;
  plan.full = begin[rows - 1] <= first_key && first_key + kTileKeys <= end[0];
  for (std::int64_t step = 0; step < kStepsPerTile; ++step) {
    const std::int64_t key = first_key + step * kStep;
    const std::int64_t first = std::upper_bound(end, end + rows, key) - end;
    const std::int64_t last = std::lower_bound(begin, begin + rows, key + kStep) - begin;
    const auto s = static_cast<std::size_t>(step);
    plan.row_begin[s] = first / kStep * kStep;
    plan.row_end[s] = first < last ? round_up(last, kStep) : plan.row_begin[s];
  }
  return plan;
}

}  // namespace clausius::ops::detail
