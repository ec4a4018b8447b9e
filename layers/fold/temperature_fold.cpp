// SPDX-License-Identifier: Apache-2.0
// Query rows over temperatures.
#include "layers/fold/temperature_fold.h"

#include "core/error.h"

namespace clausius {

Tensor fold_temperature(const Tensor& rows, const Tensor& t_H) {
  CLS_CHECK(
      t_H.rank() == 1, ShapeError, "temperatures are ", t_H.shape(),
      "; expected one a head: those of positions do not fold into the projection, their table "
      "must go along");
  const std::int64_t heads = t_H.size(0);
  CLS_CHECK(rows.rank() >= 1 && rows.rank() <= 2 && heads > 0 && rows.size(0) % heads == 0,
            ShapeError, "rows are ", rows.shape(), " for ", heads,
            " temperatures; expected [H D, M] or [H D]");
  const Tensor temperatures = t_H.to(kCpu).to(Dtype::kF64).contiguous();
  Tensor folded = rows.to(kCpu).to(Dtype::kF64).contiguous().clone();
  const std::int64_t per_head = folded.numel() / heads;
  for (std::int64_t h = 0; h < heads; ++h) {
    const double t = temperatures.data<double>()[h];
    CLS_CHECK(t > 0, ConfigError, "the temperature of head ", h, " is ", t, "; expected > 0");
    for (std::int64_t i = h * per_head; i < (h + 1) * per_head; ++i) {
      folded.data<double>()[i] /= t;
    }
  }
  return folded.to(rows.dtype());
}

}  // namespace clausius
