// SPDX-License-Identifier: Apache-2.0
// Products of matrices in f64.
#include "layers/fold/feed_forward_fold.h"

#include <cmath>

#include "core/error.h"
#include "core/ops/binary/binary.h"
#include "core/ops/matmul/matmul.h"
#include "core/ops/scale/scale.h"

namespace clausius {
namespace {

Tensor wide(const Tensor& x) {
  return x.to(kCpu).to(Dtype::kF64);
}

void check_alpha(double alpha) {
  CLS_CHECK(std::isfinite(alpha) && alpha != 0.0, ConfigError, "alpha is ", alpha,
            "; expected a finite number that is not 0");
}

void check_bias(const Tensor& bias, std::int64_t size, const char* name) {
  CLS_CHECK(!bias || bias.shape() == Shape({size}), ShapeError, name, " is ", bias.shape(),
            "; expected [", size, "]");
}

// `bias` may be undefined.
FoldedLinear divided(const Tensor& weight, const Tensor& bias, double alpha, Dtype dtype) {
  const auto finish = [&](const Tensor& x) {
    Tensor folded = x.contiguous().clone();
    for (double& value : folded.span<double>()) {
      value /= alpha;
    }
    return folded.to(dtype);
  };
  return {.weight_MM = finish(weight), .bias_M = bias ? finish(bias) : Tensor()};
}

}  // namespace

FoldedLinear fold_feed_forward(const Tensor& w_in_FM,
                               const Tensor& b_in_F,
                               const Tensor& w_out_MF,
                               const Tensor& b_out_M,
                               double alpha) {
  check_alpha(alpha);
  CLS_CHECK(w_in_FM.rank() == 2 && w_out_MF.rank() == 2 &&
                w_in_FM.shape() == Shape({w_out_MF.size(1), w_out_MF.size(0)}),
            ShapeError, "w_in is ", w_in_FM.shape(), ", w_out is ", w_out_MF.shape(),
            "; expected [F, M] and [M, F]");
  check_bias(b_in_F, w_in_FM.size(0), "b_in");
  check_bias(b_out_M, w_out_MF.size(0), "b_out");
  const Tensor w_out = wide(w_out_MF);
  Tensor bias;
  if (b_in_F) {
    bias = ops::matmul(w_out, wide(b_in_F).reshape({-1, 1})).reshape({-1});
  }
  if (b_out_M) {
    bias = bias.defined() ? ops::add(bias, wide(b_out_M)) : wide(b_out_M);
  }
  return divided(ops::matmul(w_out, wide(w_in_FM)), bias, alpha, w_in_FM.dtype());
}

FoldedLinear fold_branch_scale(const Tensor& w_MN, const Tensor& b_M, double alpha) {
  check_alpha(alpha);
  CLS_CHECK(w_MN.rank() == 2, ShapeError, "w is ", w_MN.shape(), "; expected a matrix");
  check_bias(b_M, w_MN.size(0), "b");
  return divided(wide(w_MN), b_M ? wide(b_M) : Tensor(), alpha, w_MN.dtype());
}

}  // namespace clausius
