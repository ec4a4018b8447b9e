// SPDX-License-Identifier: Apache-2.0
// Initializers whose spread follows from the shape of the matrix or of the model.
#include <cmath>

#include "layers/initializers/initializer.h"

namespace clausius {
namespace {

struct SmallConfig {
  static constexpr std::string_view kDoc =
      "Normal, std sqrt(2 / (5 model_dim)); residual outputs 1 / (sqrt(model_dim) layers).";
  void visit(ConfigVisitor& /*v*/) {}
};

/// Normal, std sqrt(2 / (5 model_dim)); residual outputs 1 / (sqrt(model_dim) layers).
/// Source:  Nguyen and Salazar 2019, "Transformers without Tears"; residual rule as in Wang and Komatsuzaki's GPT-J.
class Small final : public Initializer {
 public:
  explicit Small(const SmallConfig& /*config*/) {}
  void fill(Tensor& value, const InitRequest& request, const RandomStream& stream) const override {
    const auto width = static_cast<double>(request.shape.model_dim);
    const double std =
        request.residual_output
            ? 1.0 / (std::sqrt(width) * static_cast<double>(request.shape.num_layers))
            : std::sqrt(2.0 / (5.0 * width));
    fill_normal(value, stream, 0.0, std);
  }
};

struct XavierUniformConfig {
  static constexpr std::string_view kDoc = "Uniform on +- sqrt(6 / (fan_in + fan_out)).";
  void visit(ConfigVisitor& /*v*/) {}
};

/// Uniform on +- sqrt(6 / (fan_in + fan_out)).
/// Source:  Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks".
class XavierUniform final : public Initializer {
 public:
  explicit XavierUniform(const XavierUniformConfig& /*config*/) {}
  void fill(Tensor& value,
            const InitRequest& /*request*/,
            const RandomStream& stream) const override {
    const double bound = std::sqrt(6.0 / static_cast<double>(value.size(0) + value.size(-1)));
    fill_uniform(value, stream, -bound, bound);
  }
};

struct FanInUniformConfig {
  static constexpr std::string_view kDoc = "Uniform on +- 1 / sqrt(fan_in).";
  void visit(ConfigVisitor& /*v*/) {}
};

/// Uniform on +- 1 / sqrt(fan_in).
class FanInUniform final : public Initializer {
 public:
  explicit FanInUniform(const FanInUniformConfig& /*config*/) {}
  void fill(Tensor& value,
            const InitRequest& /*request*/,
            const RandomStream& stream) const override {
    const double bound = 1.0 / std::sqrt(static_cast<double>(value.size(-1)));
    fill_uniform(value, stream, -bound, bound);
  }
};

CLS_REGISTER(Initializer, "small", Small, SmallConfig);
CLS_REGISTER(Initializer, "xavier_uniform", XavierUniform, XavierUniformConfig);
CLS_REGISTER(Initializer, "fan_in_uniform", FanInUniform, FanInUniformConfig);

}  // namespace
}  // namespace clausius
