// SPDX-License-Identifier: Apache-2.0
// Clipping layer by layer, and its counts.
#include "train/qk_clip.h"

#include <utility>

#include "core/checked.h"
#include "core/error.h"
#include "core/io/json.h"

namespace clausius {
namespace {

// Rows [0, rows) of a weight, or a bias as a column; with the copy that a bf16 forward pass reads.
void clip_rows(const Tensor& max_H,
               const ops::QkClipPlan& plan,
               Parameter& parameter,
               std::int64_t rows,
               Tensor& clips_H) {
  const auto matrix = [rows](const Tensor& whole) {
    return whole.reshape({whole.size(0), -1}).slice(0, 0, rows);
  };
  Tensor master = matrix(parameter.master());
  Tensor copy = parameter.value().dtype() == Dtype::kBf16 ? matrix(parameter.value()) : Tensor();
  ops::qk_clip(max_H, plan, master, copy, clips_H);
}

std::string list_of(const std::vector<std::size_t>& layers) {
  std::string text;
  for (const std::size_t layer : layers) {
    text += concat(text.empty() ? "" : ", ", layer);
  }
  return text;
}

}  // namespace

QkClip::QkClip(Model& model) : layers_(model.qk_clips()) {
  for (const std::optional<QkClipTarget>& target : layers_) {
    clips_.emplace_back();
    if (!target) {
      continue;
    }
    active_ = true;
    for (const Parameter* parameter : {target->weight, target->q_bias, target->k_bias}) {
      CLS_CHECK(parameter == nullptr || !parameter->frozen(), ConfigError, parameter->path(),
                ": qk_clip scales what optimizer.groups freezes");
    }
    clips_.back() =
        Tensor::zeros({target->plan.query_heads}, Dtype::kF64, model.parameters().device());
  }
}

void QkClip::apply(EntropyTotals& entropy, Communicator& communicator) {
  if (!active_) {
    return;
  }
  entropy.reduce_max_logits(communicator);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    if (!layers_[i]) {
      continue;
    }
    const QkClipTarget& target = *layers_[i];
    const Tensor max_H = entropy.max_logits(i);
    ops::QkClipPlan plan = target.plan;
    Tensor uncounted;
    const std::int64_t query_rows = plan.query_heads * plan.head_dim;
    const std::int64_t key_rows = plan.key_heads * plan.head_dim;
    clip_rows(max_H, plan, *target.weight, query_rows + key_rows, clips_[i]);
    if (target.q_bias != nullptr) {
      clip_rows(max_H, plan, *target.q_bias, query_rows, uncounted);
    }
    if (target.k_bias != nullptr) {
      plan.first_row = query_rows;
      clip_rows(max_H, plan, *target.k_bias, key_rows, uncounted);
    }
  }
}

HeadTable QkClip::clips() const {
  HeadTable table;
  for (const Tensor& clips_H : clips_) {
    std::vector<double>& heads = table.emplace_back();
    if (clips_H.defined()) {
      const Tensor host = clips_H.to(kCpu);
      heads.assign(host.span<double>().begin(), host.span<double>().end());
    }
  }
  return table;
}

std::string QkClip::description() const {
  std::vector<std::size_t> with;
  std::vector<std::size_t> without;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    (layers_[i] ? with : without).push_back(i);
  }
  if (!active_) {
    return {};
  }
  return without.empty()
             ? std::string("qk_clip acts on every layer")
             : concat("qk_clip acts on layers ", list_of(with), "; not on ", list_of(without));
}

std::string QkClip::state() const {
  return to_json(clips()).dump();
}

void QkClip::restore(std::string_view state) {
  const HeadTable table = read_head_table(Json::parse(state, "counts of qk_clip"));
  CLS_CHECK(table.size() == clips_.size(), DataError, "counts of qk_clip for ", table.size(),
            " layers; this model has ", clips_.size());
  for (std::size_t i = 0; i < clips_.size(); ++i) {
    const std::int64_t heads = clips_[i].defined() ? clips_[i].numel() : 0;
    CLS_CHECK(std::ssize(table[i]) == heads, DataError, "counts of qk_clip for ", table[i].size(),
              " heads of layer ", i, "; this model has ", heads);
    if (heads > 0) {
      clips_[i].copy_from(Tensor::from(table[i], {heads}));
    }
  }
}

}  // namespace clausius
