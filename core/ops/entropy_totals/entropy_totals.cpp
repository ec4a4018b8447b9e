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

void entropy_totals(const ObservedRows& rows, Tensor& sums_HK, Tensor& max_H) {
  const Tensor& entropy_BHT = rows.entropy_BHT;
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
  check(rows.outcomes_BT, "outcomes", {batch, tokens}, Dtype::kI32);
  check(rows.max_logit_BH, "max_logit", {batch, heads}, entropy_BHT.dtype());
  check(sums_HK, "sums", {heads, kHeadSums}, Dtype::kF64);
  check(max_H, "max", {heads}, Dtype::kF64);
  const auto optional = [&](const Tensor& tensor, const char* name, const Shape& shape,
                            Dtype dtype) {
    if (!tensor.defined()) {
      return tensor;
    }
    check(tensor, name, shape, dtype);
    return tensor.contiguous();
  };
  const Tensor lengths = optional(rows.lengths_B, "lengths", {batch}, Dtype::kI32);
  const Tensor spread =
      optional(rows.spread_BHT, "spread", entropy_BHT.shape(), entropy_BHT.dtype());
  const Tensor first = optional(rows.first_BHT, "first", entropy_BHT.shape(), entropy_BHT.dtype());
  if (entropy_BHT.numel() > 0) {
    entropy_totals_kernels().run(entropy_BHT.device(), entropy_BHT.dtype(),
                                 entropy_BHT.contiguous(), rows.outcomes_BT.contiguous(),
                                 rows.max_logit_BH.contiguous(), lengths, spread, first, sums_HK,
                                 max_H);
  }
}

}  // namespace clausius::ops
