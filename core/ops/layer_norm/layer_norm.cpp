// SPDX-License-Identifier: Apache-2.0
// Layer normalisation: checks, allocation, dispatch.
#include "core/ops/layer_norm/layer_norm.h"

#include "core/ops/layer_norm/layer_norm_reference.h"
#include "core/ops/row_checks.h"

namespace clausius::ops {

LayerNormForwardTable& layer_norm_forward_kernels() {
  static LayerNormForwardTable table("layer_norm_forward", layer_norm_forward_reference<double>,
                                     layer_norm_forward_reference<float>);
  return table;
}

LayerNormBackwardTable& layer_norm_backward_kernels() {
  static LayerNormBackwardTable table("layer_norm_backward", layer_norm_backward_reference<double>,
                                      layer_norm_backward_reference<float>);
  return table;
}

LayerNormOutput layer_norm(const Tensor& x, const Tensor& gain, const Tensor& bias, double eps) {
  detail::check_activation("layer_norm", x);
  const Tensor gain_M = detail::check_parameter("layer_norm", "gain", gain, x);
  const Tensor bias_M = detail::check_parameter("layer_norm", "bias", bias, x);
  const Shape leading = detail::leading_shape(x);
  const Dtype wide = detail::wide_dtype(x.dtype());
  LayerNormOutput result{.y = Tensor::empty(x.shape(), x.dtype(), x.device()),
                         .mean = Tensor::empty(leading, wide, x.device()),
                         .rstd = Tensor::empty(leading, wide, x.device())};
  if (x.numel() == 0) {
    result.mean.fill(0);
    result.rstd.fill(0);
    return result;
  }
  const Tensor x_RM = detail::rows_of(x);
  Tensor y_RM = result.y.reshape(x_RM.shape());
  layer_norm_forward_kernels().run(x.device(), x.dtype(), x_RM, gain_M, bias_M, y_RM, result.mean,
                                   result.rstd, eps);
  return result;
}

LayerNormGradients layer_norm_backward(const Tensor& dy,
                                       const Tensor& x,
                                       const Tensor& gain,
                                       const Tensor& mean,
                                       const Tensor& rstd,
                                       bool with_bias) {
  detail::check_activation("layer_norm_backward", x);
  detail::check_same("layer_norm_backward", dy, x);
  const Tensor gain_M = detail::check_parameter("layer_norm_backward", "gain", gain, x);
  const Dtype wide = detail::wide_dtype(x.dtype());
  LayerNormGradients result{
      .dx = Tensor::empty(x.shape(), x.dtype(), x.device()), .dgain = {}, .dbias = {}};
  if (gain.defined()) {
    result.dgain = Tensor::empty({x.size(-1)}, wide, x.device());
  }
  if (with_bias) {
    result.dbias = Tensor::empty({x.size(-1)}, wide, x.device());
  }
  if (x.numel() == 0) {
    for (Tensor* sum : {&result.dgain, &result.dbias}) {
      if (sum->defined()) {
        sum->fill(0);
      }
    }
    return result;
  }
  const Tensor x_RM = detail::rows_of(x);
  Tensor dx_RM = result.dx.reshape(x_RM.shape());
  layer_norm_backward_kernels().run(x.device(), x.dtype(), detail::rows_of(dy), x_RM, gain_M,
                                    mean.contiguous(), rstd.contiguous(), dx_RM, result.dgain,
                                    result.dbias);
  return result;
}

}  // namespace clausius::ops
