// SPDX-License-Identifier: Apache-2.0
// Checks and dispatch of entropy_totals.
#include "core/ops/entropy_totals/entropy_totals.h"

#include "core/error.h"
#include "core/ops/entropy_totals/entropy_totals_reference.h"

namespace clausius::ops {

EntropyTotalsKernels& entropy_totals_kernels() {
  static EntropyTotalsKernels table("entropy_totals", entropy_totals_reference<double>,
                                    entropy_totals_reference<float>);
  return table;
}

void entropy_totals(const Tensor& entropy_BHT,
                    const Tensor& outcomes_BT,
                    const Tensor& max_logit_BH,
                    Tensor& sums_H3,
                    Tensor& max_H) {
  CLS_CHECK(entropy_BHT.rank() == 3, ShapeError, "[entropy_totals] entropy is ",
            entropy_BHT.shape(), "; expected [B, H, T]");
  const std::int64_t batch = entropy_BHT.size(0);
  const std::int64_t heads = entropy_BHT.size(1);
  const std::int64_t tokens = entropy_BHT.size(2);
  const auto check = [](const Tensor& tensor, const char* name, const Shape& shape, Dtype dtype) {
    CLS_CHECK(tensor.shape() == shape, ShapeError, "[entropy_totals] ", name, " is ",
              tensor.shape(), "; expected ", shape);
    CLS_CHECK(tensor.dtype() == dtype, DtypeError, "[entropy_totals] ", name, " is ",
              tensor.dtype(), "; expected ", dtype);
  };
  check(outcomes_BT, "outcomes", {batch, tokens}, Dtype::kI32);
  check(max_logit_BH, "max_logit", {batch, heads}, entropy_BHT.dtype());
  check(sums_H3, "sums", {heads, 3}, Dtype::kF64);
  check(max_H, "max", {heads}, Dtype::kF64);
  if (entropy_BHT.numel() > 0) {
    entropy_totals_kernels().run(entropy_BHT.device(), entropy_BHT.dtype(),
                                 entropy_BHT.contiguous(), outcomes_BT.contiguous(),
                                 max_logit_BH.contiguous(), sums_H3, max_H);
  }
}

}  // namespace clausius::ops
