// SPDX-License-Identifier: Apache-2.0
// q, k and v of all heads from one matrix, cut apart without copying.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "autograd/variable.h"
#include "core/config.h"
#include "layers/init_stream.h"

// Legend: B batch, T tokens, M model dim, H query heads, G key/value heads, D head dim.
namespace clausius {

/// The projections of an attention layer that may have a bias.
enum class Projection { kQ, kK, kV, kOut };
constexpr auto words_of(Projection /*unused*/) {
  return words("q", "k", "v", "out");
}

/// `bias: true`, `bias: false` or `bias: [q, k]`.
using BiasOf = std::variant<bool, std::vector<Projection>>;
[[nodiscard]] bool has_bias(const BiasOf& bias, Projection projection);

struct HeadCounts {
  std::int64_t query = 0;
  std::int64_t key = 0;
  std::int64_t dim = 0;
};

struct HeadProjections {
  Variable q_BTHD;
  Variable k_BTGD;
  Variable v_BTGD;
};

/// Parameters: weight [(H + 2 G) D, M], rows of q, then k, then v; q.bias, k.bias, v.bias where asked for, starting at zero.
class HeadProjection {
 public:
  HeadProjection(std::int64_t model_dim,
                 const HeadCounts& heads,
                 const BiasOf& bias,
                 const InitStream& init);
  /// x_BTM -> views of one product; their gradients meet in one buffer.
  [[nodiscard]] HeadProjections forward(const Variable& x_BTM) const;
  [[nodiscard]] Parameter& weight() const { return *weight_; }
  /// nullptr where there is none.
  [[nodiscard]] Parameter* bias_of(Projection projection) const;
  [[nodiscard]] Dtype compute_dtype() const { return weight_->value().dtype(); }
  [[nodiscard]] Device device() const { return weight_->value().device(); }

 private:
  [[nodiscard]] Variable bias() const;

  HeadCounts heads_;
  Parameter* weight_;
  const RowScales* scales_;
  std::vector<Parameter*> biases_;  // q, k, v; nullptr where there is none; empty without any
};

}  // namespace clausius
