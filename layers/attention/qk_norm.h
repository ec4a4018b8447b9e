// SPDX-License-Identifier: Apache-2.0
// Normalised queries and keys: scores that no weight can let grow.
#pragma once

#include <variant>

#include "autograd/variable.h"
#include "core/config_block.h"
#include "layers/attention/head_projection.h"
#include "layers/init_stream.h"

// Legend: H query heads, D head dim.
namespace clausius {

struct QkNormKnobs {
  double eps = 1e-6;

  void visit(ConfigVisitor& v) {
    v.field("eps", eps, "added to the mean (l2_norm: the sum) of squares before the root",
            positive);
  }
};

struct QkRmsNorm : QkNormKnobs {
  static constexpr std::string_view kKind = "rms_norm";
  static constexpr std::string_view kDoc =
      "gain * x / sqrt(mean(x^2) + eps) over a head, gains shared by the heads of a layer.";
};

struct QkL2Norm : QkNormKnobs {
  static constexpr std::string_view kKind = "l2_norm";
  static constexpr std::string_view kDoc =
      "x / sqrt(sum(x^2) + eps) over a head; each head learns its softmax scale from "
      "sqrt(head_dim).";
};

using QkNormChoice = std::variant<NoKind, QkRmsNorm, QkL2Norm>;

/// Acts before rotary positions, which keep norms.
/// Parameters: rms_norm: q_norm.gain and k_norm.gain [D], starting at 1 (role gain). l2_norm: qk_scale [H], starting at sqrt(D) (role
///             scale).
/// Value:      scores s with |s| <= softmax_scale D max|gain_q| max|gain_k|, or |s| <= softmax_scale |qk_scale|.
/// Source:     Henry et al. 2020, "Query-Key Normalization for Transformers" (l2_norm); Dehghani et al. 2023, "Scaling Vision
///             Transformers to 22 Billion Parameters" (a norm with gains).
class QkNorm {
 public:
  QkNorm(const QkNormChoice& choice, const HeadCounts& heads, const InitStream& init);
  /// q and k normalised; unchanged where there is none.
  [[nodiscard]] HeadProjections forward(HeadProjections heads) const;
  /// [H], multiplies the scores of each head; undefined without l2_norm.
  [[nodiscard]] Variable head_scale() const;
  /// Multiplies all scores: l2_norm leaves q and k with a norm of sqrt(D), and this takes it back.
  [[nodiscard]] double score_factor() const { return score_factor_; }

 private:
  Parameter* q_gain_ = nullptr;
  Parameter* k_gain_ = nullptr;
  Parameter* scale_ = nullptr;
  double eps_ = 0.0;  // beside the mean of squares
  double score_factor_ = 1.0;
};

}  // namespace clausius
