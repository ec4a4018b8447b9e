// SPDX-License-Identifier: Apache-2.0
// The norm family: what a block applies before or after its branches.
#pragma once

#include <memory>

#include "autograd/variable.h"
#include "core/registry.h"
#include "layers/init_stream.h"

namespace clausius {

/// Where a block applies its norm: before the branch, or after branch and residual.
enum class NormPlace { kPre, kPost };
constexpr auto words_of(NormPlace /*unused*/) {
  return words("pre", "post");
}

/// A normalisation over the last dimension. Kinds register themselves by name (recipe key model.norm).
class Norm {
 public:
  Norm() = default;
  Norm(const Norm&) = delete;
  Norm& operator=(const Norm&) = delete;
  virtual ~Norm() = default;

  /// Shapes:  x (.., M) -> (.., M)
  [[nodiscard]] virtual Variable forward(const Variable& x) const = 0;
  [[nodiscard]] virtual NormPlace place() const = 0;
};

template <>
struct RegistryTraits<Norm> {
  static constexpr std::string_view kFamily = "norm";
  using Context = LayerShape;
  using Make = std::unique_ptr<Norm>(const LayerShape&, const InitStream&);
};

}  // namespace clausius
