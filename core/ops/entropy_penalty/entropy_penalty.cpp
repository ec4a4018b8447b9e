// SPDX-License-Identifier: Apache-2.0
// Checks, allocation and dispatch of entropy_penalty.
#include "core/ops/entropy_penalty/entropy_penalty.h"

#include "core/error.h"
#include "core/ops/entropy_penalty/entropy_penalty_reference.h"

namespace clausius::ops {
namespace {

void check(const Tensor& entropy_BHT,
           const Tensor& threshold_H,
           const Tensor& outcomes_BT,
           const Tensor& positions_BT,
           const EntropyPenaltyOptions& options) {
  CLS_CHECK(entropy_BHT.rank() == 3, ShapeError, "[entropy_penalty] entropy is ",
            entropy_BHT.shape(), "; expected [B, H, T]");
  CLS_CHECK(is_floating(entropy_BHT.dtype()), DtypeError, "[entropy_penalty] entropy is ",
            entropy_BHT.dtype(), "; expected a floating type");
  const auto expect = [](const Tensor& tensor, const char* name, const Shape& shape, Dtype dtype) {
    CLS_CHECK(tensor.shape() == shape, ShapeError, "[entropy_penalty] ", name, " is ",
              tensor.shape(), "; expected ", shape);
    CLS_CHECK(tensor.dtype() == dtype, DtypeError, "[entropy_penalty] ", name, " is ",
              tensor.dtype(), "; expected ", dtype);
  };
  const Shape rows{entropy_BHT.size(0), entropy_BHT.size(2)};
  expect(threshold_H, "threshold", {entropy_BHT.size(1)}, entropy_BHT.dtype());
  expect(outcomes_BT, "outcomes", rows, Dtype::kI32);
  if (positions_BT || options.skip_rows > 0) {
    expect(positions_BT, "positions", rows, Dtype::kI32);
  }
}

Tensor dense(const Tensor& tensor) {
  return tensor ? tensor.contiguous() : tensor;
}

}  // namespace

EntropyPenaltyKernels& entropy_penalty_kernels() {
  static EntropyPenaltyKernels table("entropy_penalty", entropy_penalty_reference<double>,
                                     entropy_penalty_reference<float>);
  return table;
}

EntropyPenaltyBackwardKernels& entropy_penalty_backward_kernels() {
  static EntropyPenaltyBackwardKernels table("entropy_penalty_backward",
                                             entropy_penalty_backward_reference<double>,
                                             entropy_penalty_backward_reference<float>);
  return table;
}

Tensor entropy_penalty(const Tensor& entropy_BHT,
                       const Tensor& threshold_H,
                       const Tensor& outcomes_BT,
                       const Tensor& positions_BT,
                       const EntropyPenaltyOptions& options) {
  check(entropy_BHT, threshold_H, outcomes_BT, positions_BT, options);
  Tensor penalty = Tensor::empty({}, entropy_BHT.dtype(), entropy_BHT.device());
  if (entropy_BHT.numel() == 0) {
    penalty.fill(0.0);
    return penalty;
  }
  Tensor head_sums = Tensor::empty({entropy_BHT.size(1)}, Dtype::kF64, entropy_BHT.device());
  entropy_penalty_kernels().run(entropy_BHT.device(), entropy_BHT.dtype(), dense(entropy_BHT),
                                dense(threshold_H), dense(outcomes_BT), dense(positions_BT),
                                head_sums, penalty, options);
  return penalty;
}

EntropyPenaltyGradients entropy_penalty_backward(const Tensor& dy,
                                                 const Tensor& entropy_BHT,
                                                 const Tensor& threshold_H,
                                                 const Tensor& outcomes_BT,
                                                 const Tensor& positions_BT,
                                                 const EntropyPenaltyOptions& options) {
  check(entropy_BHT, threshold_H, outcomes_BT, positions_BT, options);
  CLS_CHECK(dy.numel() == 1 && dy.dtype() == entropy_BHT.dtype(), ShapeError,
            "[entropy_penalty_backward] dy is ", dy.shape(), " of ", dy.dtype(),
            "; expected one number of ", entropy_BHT.dtype());
  EntropyPenaltyGradients gradients{
      .dentropy_BHT = Tensor::empty(entropy_BHT.shape(), entropy_BHT.dtype(), entropy_BHT.device()),
      .dthreshold_H =
          Tensor::empty(threshold_H.shape(), threshold_H.dtype(), threshold_H.device())};
  if (entropy_BHT.numel() == 0) {
    gradients.dthreshold_H.fill(0.0);
    return gradients;
  }
  entropy_penalty_backward_kernels().run(entropy_BHT.device(), entropy_BHT.dtype(), dense(dy),
                                         dense(entropy_BHT), dense(threshold_H), dense(outcomes_BT),
                                         dense(positions_BT), gradients.dentropy_BHT,
                                         gradients.dthreshold_H, options);
  return gradients;
}

}  // namespace clausius::ops
