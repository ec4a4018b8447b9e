// SPDX-License-Identifier: Apache-2.0
// Dropout: checks, allocation, dispatch.
#include "core/ops/dropout/dropout.h"

#include "core/device_backend.h"
#include "core/ops/dropout/dropout_reference.h"

namespace clausius::ops {

DropoutTable& dropout_kernels() {
  static DropoutTable table("dropout", dropout_reference<double>, dropout_reference<float>);
  return table;
}

Tensor dropout(const Tensor& x, double p, const RandomStream& stream, const Tensor& samples_B) {
  CLS_CHECK(is_floating(x.dtype()), DtypeError, "dropout of ", x.dtype(),
            "; expected a floating type");
  CLS_CHECK(p >= 0 && p < 1, ConfigError, "dropout: p is ", p, "; expected 0 <= p < 1");
  CLS_CHECK(samples_B.dtype() == Dtype::kI64, DtypeError, "dropout: sample ids are ",
            samples_B.dtype(), "; expected i64");
  CLS_CHECK(x.rank() >= 1 && samples_B.rank() == 1 && samples_B.size(0) == x.size(0), ShapeError,
            "dropout: sample ids are ", samples_B.shape(), " for x ", x.shape(),
            "; expected one a row");
  if (p == 0) {
    return x;
  }
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  if (x.numel() > 0) {
    const std::int64_t batch = x.size(0);
    const Tensor x_BN = x.contiguous().reshape({batch, x.numel() / batch});
    CLS_CHECK(x_BN.size(1) / 4 < (std::int64_t{1} << 32), ShapeError, "dropout: a sample of ",
              x_BN.size(1), " elements; expected fewer than 2^34");
    Tensor y_BN = y.reshape(x_BN.shape());
    refuse_in_recording(x.device(), "dropout draws other numbers in every step");
    dropout_kernels().run(x.device(), x.dtype(), x_BN, samples_B.to(x.device()).contiguous(), y_BN,
                          p, stream);
  }
  return y;
}

Tensor dropout_backward(const Tensor& dy,
                        double p,
                        const RandomStream& stream,
                        const Tensor& samples_B) {
  return dropout(dy, p, stream, samples_B);
}

}  // namespace clausius::ops
