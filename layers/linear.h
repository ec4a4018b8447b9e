// SPDX-License-Identifier: Apache-2.0
// The linear layer every projection of the models is made of.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "autograd/rules/linear_activation.h"
#include "autograd/variable.h"
#include "layers/init_stream.h"

namespace clausius {

struct LinearOptions {
  bool bias = false;
  /// The output goes into the residual stream.
  bool residual_output = false;
  Role role = Role::kMatrix;
  /// Names and rows of the matrices that are fused in the weight; none: it is one.
  std::vector<std::pair<std::string, std::int64_t>> fused{};
};

/// y = x W^T + b, or x W_hat^T + b under the model's reparametrisation (InitStream::for_part says which part of it this is).
/// Parameters: weight [out, in]; bias [out], starting at zero, where asked for.
/// Shapes:  x (.., in) -> y (.., out)
class Linear {
 public:
  Linear(std::int64_t in, std::int64_t out, const LinearOptions& options, const InitStream& init);
  [[nodiscard]] Variable forward(const Variable& x) const;
  /// f(x W^T + b), in one op.
  [[nodiscard]] Variable forward(const Variable& x, const PointwiseOp& f) const;
  [[nodiscard]] Parameter& weight() const { return *weight_; }

 private:
  Parameter* weight_;
  const RowScales* scales_;
  Parameter* bias_ = nullptr;
};

}  // namespace clausius
