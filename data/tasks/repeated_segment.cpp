// SPDX-License-Identifier: Apache-2.0
// Task `repeated_segment`: a random segment over and over. Needs heads that find the last occurrence of a token and copy what came
// after it (induction heads).
#include <array>
#include <vector>

#include "data/tasks/task.h"

namespace clausius {
namespace {

struct RepeatedSegmentConfig : TaskConfig {
  static constexpr std::string_view kDoc =
      "a random segment, repeated to the end of the row; what follows its first round can be known";
  std::int64_t vocab_size = 24;
  std::array<std::int64_t, 2> period_range = {6, 15};

  void visit(ConfigVisitor& v) {
    v.field("vocab_size", vocab_size, "symbols, all equally likely", at_least(2));
    v.field("period_range", period_range, "least and greatest length of the segment", at_least(1));
    TaskConfig::visit(v);
  }
  void validate(const ConfigCheck& check) const {
    check.that(period_range[0] <= period_range[1], "period_range", "the least, ", period_range[0],
               ", is greater than the greatest, ", period_range[1]);
  }
  [[nodiscard]] TaskTraits facts() const {
    // The token after the first repeated one is the first answer.
    return {.vocab_size = vocab_size, .shortest_length = period_range[1] + 1, .seed = seed};
  }
};

class RepeatedSegment final : public Task {
 public:
  RepeatedSegment(const RepeatedSegmentConfig& config, const TaskShape& shape)
      : config_(config), shape_(shape) {}

  // Draws: the period, then its tokens. A row of T tokens and the one after it are the segment from its start, repeated; position t
  // has an answer from the second round on, where its own token has been seen before (t >= period).
  void fill(const TaskRow& row, TaskDraws& draws) const override {
    const auto [least, greatest] = config_.period_range;
    const std::int64_t period = least + draws.below(greatest - least + 1);
    std::vector<std::int32_t> segment(static_cast<std::size_t>(period));
    for (std::int32_t& token : segment) {
      token = static_cast<std::int32_t>(draws.below(config_.vocab_size));
    }
    for (std::size_t t = 0; t < row.inputs_T.size(); ++t) {
      row.inputs_T[t] = segment[t % segment.size()];
      if (shape_.targets == TaskTargets::kAll || t >= segment.size()) {
        row.targets_T[t] = segment[(t + 1) % segment.size()];
      }
    }
  }

 private:
  RepeatedSegmentConfig config_;
  TaskShape shape_;
};

CLS_REGISTER(Task, "repeated_segment", RepeatedSegment, RepeatedSegmentConfig);

}  // namespace
}  // namespace clausius
