// SPDX-License-Identifier: Apache-2.0
// The two-matrix feed-forward: down(activation(up(x))).
#include "layers/feed_forward/feed_forward.h"
#include "layers/linear.h"

namespace clausius {
namespace {

enum class Activation { kGelu, kGeluErf, kRelu, kSilu, kIdentity };
constexpr auto words_of(Activation /*unused*/) {
  return words("gelu", "gelu_erf", "relu", "silu", "identity");
}

Variable activated(const Linear& linear, Activation activation, const Variable& x) {
  switch (activation) {
    case Activation::kGelu:
      return linear.forward(x, {ops::gelu_forward_kernels(), ops::gelu_backward_kernels()});
    case Activation::kGeluErf:
      return linear.forward(x, {ops::gelu_erf_forward_kernels(), ops::gelu_erf_backward_kernels()});
    case Activation::kRelu:
      return linear.forward(x, {ops::relu_forward_kernels(), ops::relu_backward_kernels()});
    case Activation::kSilu:
      return linear.forward(x, {ops::silu_forward_kernels(), ops::silu_backward_kernels()});
    case Activation::kIdentity:
      return linear.forward(x);
  }
  return linear.forward(x);
}

struct MlpConfig {
  static constexpr std::string_view kDoc = "down(activation(up(x))).";

  Auto<std::int64_t> hidden_dim;
  Activation activation = Activation::kGelu;
  std::optional<bool> bias;

  void visit(ConfigVisitor& v, const LayerShape& shape) {
    v.derived(
        "hidden_dim", hidden_dim, [&] { return 4 * shape.model_dim; }, "4 model_dim",
        "width between the two matrices", at_least(1));
    v.field("activation", activation, "gelu is the tanh form, gelu_erf the exact one");
    v.derived(
        "bias", bias, [&] { return shape.bias; }, "the model's", "biases in both matrices");
  }
};

/// Parameters: up.weight [F, M], down.weight [M, F] (residual output); biases where asked for.
class Mlp final : public FeedForward {
 public:
  Mlp(const MlpConfig& config, const LayerShape& shape, const InitStream& init)
      : activation_(config.activation),
        up_(shape.model_dim,
            config.hidden_dim.value_or(4 * shape.model_dim),
            {.bias = config.bias.value_or(shape.bias)},
            init.child("up")),
        down_(config.hidden_dim.value_or(4 * shape.model_dim),
              shape.model_dim,
              {.bias = config.bias.value_or(shape.bias), .residual_output = true},
              init.child("down")) {}

  Variable forward(const Variable& x) const override {
    return down_.forward(activated(up_, activation_, x));
  }

 private:
  Activation activation_;
  Linear up_;
  Linear down_;
};

CLS_REGISTER(FeedForward, "mlp", Mlp, MlpConfig);

}  // namespace
}  // namespace clausius
