// SPDX-License-Identifier: Apache-2.0
// Weights from a normal distribution of one standard deviation.
#include <cmath>

#include "layers/initializers/initializer.h"

namespace clausius {
namespace {

struct NormalConfig {
  static constexpr std::string_view kDoc = "Normal, one standard deviation for all.";

  double std = 0.02;
  std::optional<double> embedding_std;
  bool depth_scaled = false;

  void visit(ConfigVisitor& v) {
    v.field("std", std, "standard deviation of every weight", positive);
    v.derived(
        "embedding_std", embedding_std, [&] { return std; }, "std",
        "of token and position embeddings", positive);
    v.field("depth_scaled", depth_scaled, "residual outputs are divided by sqrt(2 layers)");
  }
};

class Normal final : public Initializer {
 public:
  explicit Normal(const NormalConfig& config) : config_(config) {}

  void fill(Tensor& value, const InitRequest& request, const RandomStream& stream) const override {
    double std = config_.std;
    if (request.role == Role::kEmbedding || request.role == Role::kPosition) {
      std = config_.embedding_std.value_or(config_.std);
    } else if (request.residual_output && config_.depth_scaled) {
      std /= std::sqrt(2.0 * static_cast<double>(request.shape.num_layers));
    }
    fill_normal(value, stream, 0.0, std);
  }

 private:
  NormalConfig config_;
};

CLS_REGISTER(Initializer, "normal", Normal, NormalConfig);

}  // namespace
}  // namespace clausius
