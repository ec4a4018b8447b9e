// SPDX-License-Identifier: Apache-2.0
// A norm of what attention returns, over the width of all heads, before the gate and the output projection.
#pragma once

#include <cstdint>
#include <variant>

#include "autograd/variable.h"
#include "core/config_block.h"
#include "layers/init_stream.h"

// Legend: B batch, T tokens, F width of all heads.
namespace clausius {

struct OutputRmsNorm {
  static constexpr std::string_view kKind = "rms_norm";
  static constexpr std::string_view kDoc = "gain * y / sqrt(mean(y^2) + eps) over all heads.";
  double eps = 1e-5;

  void visit(ConfigVisitor& v) {
    v.field("eps", eps, "added to the mean square before the root", positive);
  }
};

struct OutputLayerNorm {
  static constexpr std::string_view kKind = "layer_norm";
  static constexpr std::string_view kDoc =
      "gain * (y - mean) / sqrt(variance + eps) + bias over all heads.";
  double eps = 1e-5;

  void visit(ConfigVisitor& v) {
    v.field("eps", eps, "added to the variance before the root", positive);
  }
};

struct OutputSimpleRmsNorm {
  static constexpr std::string_view kKind = "simple_rms_norm";
  static constexpr std::string_view kDoc = "y / sqrt(mean(y^2) + eps) over all heads.";
  double eps = 1e-6;

  void visit(ConfigVisitor& v) {
    v.field("eps", eps, "added to the mean square before the root", positive);
  }
};

using OutputNormChoice = std::variant<NoKind, OutputRmsNorm, OutputLayerNorm, OutputSimpleRmsNorm>;

/// Parameters: output_norm.gain [F], starting at 1, but for simple_rms_norm; output_norm.bias [F], starting at 0, of layer_norm.
class OutputNorm {
 public:
  OutputNorm(const OutputNormChoice& choice, std::int64_t width, const InitStream& init);
  /// y itself where there is none.
  [[nodiscard]] Variable forward(const Variable& y_BTF) const;

 private:
  OutputNormChoice choice_;
  Parameter* gain_ = nullptr;
  Parameter* bias_ = nullptr;
};

}  // namespace clausius
