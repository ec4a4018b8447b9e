// SPDX-License-Identifier: Apache-2.0
// The feed-forward family: the second branch of a block.
#pragma once

#include <memory>

#include "autograd/variable.h"
#include "core/registry.h"
#include "layers/init_stream.h"

namespace clausius {

/// A map of each token by itself.
class FeedForward {
 public:
  FeedForward() = default;
  FeedForward(const FeedForward&) = delete;
  FeedForward& operator=(const FeedForward&) = delete;
  virtual ~FeedForward() = default;
  /// False for `none`: the block then has no second branch, and forward is never called.
  [[nodiscard]] virtual bool present() const { return true; }
  /// Shapes:  x (.., M) -> (.., M)
  [[nodiscard]] virtual Variable forward(const Variable& x) const = 0;
};

/// Kinds register themselves by name (recipe key model.feed_forward).
template <>
struct RegistryTraits<FeedForward> {
  static constexpr std::string_view kFamily = "feed_forward";
  using Context = LayerShape;
  using Make = std::unique_ptr<FeedForward>(const LayerShape&, const InitStream&);
};

}  // namespace clausius
