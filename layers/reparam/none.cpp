// SPDX-License-Identifier: Apache-2.0
// Weights as they are.
#include "layers/reparam/reparam.h"

namespace clausius {
namespace {

struct NoReparamConfig {
  static constexpr std::string_view kDoc = "Weights as they are trained.";
  [[nodiscard]] ReparamFacts facts() const { return {}; }
  void visit(ConfigVisitor& /*v*/) {}
};

class NoReparam final : public Reparam {
 public:
  NoReparam(const NoReparamConfig& /*config*/, ParameterStore& store, std::uint64_t seed)
      : Reparam(std::vector<LinearPart>(), store, seed) {}
  void begin_step(std::int64_t /*step*/) override {}
  void begin_evaluation() override {}
  void finish_gradients(const SumOverRanks& /*sum*/) override {}
  std::int64_t bytes() const override { return 0; }

 protected:
  Parameter* make_gain(const InitStream& /*init*/, std::int64_t /*rows*/) override {
    return nullptr;
  }
  void allocate() override {}
  void initialize() override {}
  Tensor plain(std::size_t matrix, SigmaFold /*fold*/) const override {
    return matrices()[matrix].value();
  }
};

CLS_REGISTER(Reparam, "none", NoReparam, NoReparamConfig);

}  // namespace
}  // namespace clausius
