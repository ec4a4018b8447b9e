// SPDX-License-Identifier: Apache-2.0
// The next-token objective: batches as they come.
#include "data/objective.h"

namespace clausius {
namespace {

struct NextTokenConfig {
  static constexpr std::string_view kDoc = "Predict each token from those before it.";
  void visit(ConfigVisitor& /*v*/) {}
};

class NextToken final : public Objective {
 public:
  explicit NextToken(const NextTokenConfig& /*config*/) {}
  Batch prepare(Batch batch, std::int64_t /*step*/) const override { return batch; }
};

CLS_REGISTER(Objective, "next_token", NextToken, NextTokenConfig);

}  // namespace
}  // namespace clausius
