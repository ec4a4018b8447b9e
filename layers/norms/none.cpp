// SPDX-License-Identifier: Apache-2.0
// No norm.
#include "layers/norms/norm.h"

namespace clausius {
namespace {

struct NoNormConfig {
  static constexpr std::string_view kDoc = "No normalisation.";
  void visit(ConfigVisitor& /*v*/, const LayerShape& /*shape*/) {}
};

class NoNorm final : public Norm {
 public:
  NoNorm(const NoNormConfig& /*config*/, const LayerShape& /*shape*/, const InitStream& /*init*/) {}
  Variable forward(const Variable& x) const override { return x; }
  NormPlace place() const override { return NormPlace::kPre; }
};

CLS_REGISTER(Norm, "none", NoNorm, NoNormConfig);

}  // namespace
}  // namespace clausius
