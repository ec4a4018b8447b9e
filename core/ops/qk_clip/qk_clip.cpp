// SPDX-License-Identifier: Apache-2.0
// Checks and dispatch of qk_clip.
#include "core/ops/qk_clip/qk_clip.h"

#include "core/error.h"
#include "core/ops/qk_clip/qk_clip_reference.h"

namespace clausius::ops {

QkClipKernels& qk_clip_kernels() {
  static QkClipKernels table("qk_clip", qk_clip_reference<double>, qk_clip_reference<float>);
  return table;
}

void qk_clip(const Tensor& max_H,
             const QkClipPlan& plan,
             Tensor& rows_RM,
             Tensor& rows_copy_RM,
             Tensor& clips_H) {
  const std::int64_t rows = (plan.query_heads + plan.key_heads) * plan.head_dim;
  CLS_CHECK(plan.key_heads > 0 && plan.query_heads % plan.key_heads == 0, ShapeError, "[qk_clip] ",
            plan.query_heads, " query heads share ", plan.key_heads, " key heads");
  CLS_CHECK(rows_RM.rank() == 2 && plan.first_row + rows_RM.size(0) <= rows, ShapeError,
            "[qk_clip] rows are ", rows_RM.shape(), " from row ", plan.first_row,
            "; expected [R, M]", " of ", rows, " query and key rows");
  const auto check = [&](const Tensor& tensor, const char* name, const Shape& shape, Dtype dtype) {
    CLS_CHECK(tensor.shape() == shape && tensor.is_contiguous(), ShapeError, "[qk_clip] ", name,
              " is ", tensor.shape(), "; expected ", shape, ", dense");
    CLS_CHECK(tensor.dtype() == dtype, DtypeError, "[qk_clip] ", name, " is ", tensor.dtype(),
              "; expected ", dtype);
  };
  check(max_H, "max", {plan.query_heads}, Dtype::kF64);
  check(rows_RM, "rows", rows_RM.shape(),
        rows_RM.dtype() == Dtype::kF64 ? Dtype::kF64 : Dtype::kF32);
  if (rows_copy_RM) {
    check(rows_copy_RM, "the copy of the rows", rows_RM.shape(), Dtype::kBf16);
  }
  if (clips_H) {
    check(clips_H, "clips", {plan.query_heads}, Dtype::kF64);
  }
  if (rows_RM.numel() > 0) {
    qk_clip_kernels().run(rows_RM.device(), rows_RM.dtype(), max_H, plan, rows_RM, rows_copy_RM,
                          clips_H);
  }
}

}  // namespace clausius::ops
