// SPDX-License-Identifier: Apache-2.0
// Root-mean-square normalisation: checks, allocation, dispatch.
#include "core/ops/rms_norm/rms_norm.h"

#include "core/ops/rms_norm/rms_norm_reference.h"
#include "core/ops/row_checks.h"

namespace clausius::ops {

RmsNormForwardTable& rms_norm_forward_kernels() {
  static RmsNormForwardTable table("rms_norm_forward", rms_norm_forward_reference<double>,
                                   rms_norm_forward_reference<float>);
  return table;
}

RmsNormBackwardTable& rms_norm_backward_kernels() {
  static RmsNormBackwardTable table("rms_norm_backward", rms_norm_backward_reference<double>,
                                    rms_norm_backward_reference<float>);
  return table;
}

RmsNormOutput rms_norm(const Tensor& x, const Tensor& gain, double eps) {
  detail::check_activation("rms_norm", x);
  const Tensor gain_M = detail::check_parameter("rms_norm", "gain", gain, x);
  RmsNormOutput result{
      .y = Tensor::empty(x.shape(), x.dtype(), x.device()),
      .rstd = Tensor::empty(detail::leading_shape(x), detail::wide_dtype(x.dtype()), x.device())};
  if (x.numel() == 0) {
    result.rstd.fill(0);
    return result;
  }
  const Tensor x_RM = detail::rows_of(x);
  Tensor y_RM = result.y.reshape(x_RM.shape());
  rms_norm_forward_kernels().run(x.device(), x.dtype(), x_RM, gain_M, y_RM, result.rstd, eps);
  return result;
}

RmsNormGradients rms_norm_backward(const Tensor& dy,
                                   const Tensor& x,
                                   const Tensor& gain,
                                   const Tensor& rstd) {
  detail::check_activation("rms_norm_backward", x);
  detail::check_same("rms_norm_backward", dy, x);
  const Tensor gain_M = detail::check_parameter("rms_norm_backward", "gain", gain, x);
  RmsNormGradients result{.dx = Tensor::empty(x.shape(), x.dtype(), x.device()), .dgain = {}};
  if (gain.defined()) {
    result.dgain = Tensor::empty({x.size(-1)}, detail::wide_dtype(x.dtype()), x.device());
  }
  if (x.numel() == 0) {
    if (gain.defined()) {
      result.dgain.fill(0);
    }
    return result;
  }
  const Tensor x_RM = detail::rows_of(x);
  Tensor dx_RM = result.dx.reshape(x_RM.shape());
  rms_norm_backward_kernels().run(x.device(), x.dtype(), detail::rows_of(dy), x_RM, gain_M,
                                  rstd.contiguous(), dx_RM, result.dgain);
  return result;
}

}  // namespace clausius::ops
