// SPDX-License-Identifier: Apache-2.0
// The feed-forward family: the second branch of a block.
#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "autograd/variable.h"
#include "core/registry.h"
#include "layers/feed_forward/branch_scale.h"
#include "layers/init_stream.h"

namespace clausius {

/// What a recipe can be checked against before a feed-forward is made.
struct FeedForwardTraits {
  bool scales_residual = false;             // it has learned factors of its branch and the residual
  std::optional<double> shared_slope = {};  // start of a slope that all layers share
};

/// A map of each token by itself.
class FeedForward {
 public:
  explicit FeedForward(BranchScale scale = {}) : scale_(scale) {}
  FeedForward(const FeedForward&) = delete;
  FeedForward& operator=(const FeedForward&) = delete;
  virtual ~FeedForward() = default;
  /// False for `none`: the block then has no second branch, and forward is never called.
  [[nodiscard]] virtual bool present() const { return true; }
  /// Shapes:  x (.., M) -> (.., M)
  [[nodiscard]] virtual Variable forward(const Variable& x) const = 0;
  /// Parameters of this branch that those of other layers use as well.
  [[nodiscard]] virtual std::vector<Parameter*> shared_parameters() const { return {}; }
  /// How a block joins the branch to its input; none: a plain sum.
  [[nodiscard]] const BranchScale& scale() const { return scale_; }

 private:
  BranchScale scale_;
};

/// The keys that every kind but none has.
struct FeedForwardCommon {
  std::optional<bool> bias{};
  BranchScaleChoice scale{};

  void visit(ConfigVisitor& v, const LayerShape& shape, std::string_view bias_doc) {
    v.derived(
        "bias", bias, [&] { return shape.bias; }, "the model's", bias_doc);
    v.field("scale", scale, "learned factors of the branch and of the residual it joins");
  }
  [[nodiscard]] bool has_bias(const LayerShape& shape) const { return bias.value_or(shape.bias); }
  [[nodiscard]] FeedForwardTraits facts() const {
    return {.scales_residual = !std::holds_alternative<NoKind>(scale)};
  }
};

/// Kinds register themselves by name (recipe key model.feed_forward). Their configs may say facts: `FeedForwardTraits facts() const`.
template <>
struct RegistryTraits<FeedForward> {
  static constexpr std::string_view kFamily = "feed_forward";
  using Context = LayerShape;
  using Make = std::unique_ptr<FeedForward>(const LayerShape&, const InitStream&);
  using Facts = FeedForwardTraits;
};

}  // namespace clausius
