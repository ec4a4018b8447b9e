// SPDX-License-Identifier: Apache-2.0
// Learned temperatures: parameters, lookup by position, and the guard of raw ones.
#include "layers/attention/temperature.h"

#include <cmath>

#include "autograd/rules/binary.h"
#include "autograd/rules/embedding.h"
#include "autograd/rules/pointwise.h"
#include "autograd/rules/views.h"
#include "core/device_backend.h"
#include "core/dry_run.h"

namespace clausius {

Temperature::Temperature(const TemperatureChoice& choice,
                         std::int64_t query_heads,
                         const InitStream& init) {
  const auto make = [&](const TemperatureKnobs& knobs, const Shape& shape) {
    raw_ = knobs.parametrization == TemperatureParametrization::kRaw;
    parameter_ = &init.constant(raw_ ? "temperature" : "log_temperature", Role::kTemperature, shape,
                                raw_ ? knobs.init : std::log(knobs.init));
  };
  if (const auto* per_head = std::get_if<TemperaturePerHead>(&choice)) {
    make(*per_head, {query_heads});
  } else if (const auto* table = std::get_if<TemperaturePerHeadPosition>(&choice)) {
    make(*table, {init.shape().context_length, query_heads});
  }
}

Variable Temperature::inverse_per_head(const SequenceContext& context) const {
  return parameter_ != nullptr && parameter_->shape().rank() == 1 ? inverse(context) : Variable();
}

Variable Temperature::divide(const Variable& q_BTHD,
                             const SequenceContext& context,
                             std::int64_t seen) const {
  if (parameter_ == nullptr || parameter_->shape().rank() == 1) {
    return q_BTHD;
  }
  const std::int64_t positions = parameter_->shape()[0];
  CLS_CHECK(seen + q_BTHD.size(1) <= positions, ConfigError, "layer ", context.layer,
            ": temperatures per position end at ", positions, " (model.context_length), not at ",
            seen + q_BTHD.size(1), " tokens");
  const Variable inverse_BTH = embedding(context.positions_BT, inverse(context));
  const Shape shape = inverse_BTH.shape();
  return mul(q_BTHD, reshape(inverse_BTH, {shape[0], shape[1], shape[2], 1}));
}

bool Temperature::raise(std::int64_t head, double factor) {
  if (parameter_ == nullptr) {
    return false;
  }
  Tensor& master = parameter_->master();
  Tensor values = master.to(kCpu).to(Dtype::kF64);
  const std::int64_t heads = values.size(-1);
  for (std::int64_t i = head; i < values.numel(); i += heads) {
    double& value = values.data<double>()[i];
    value = raw_ ? value * factor : value + std::log(factor);
  }
  master.copy_from(values.to(master.dtype()));
  return true;
}

Variable Temperature::inverse(const SequenceContext& context) const {
  if (raw_) {
    check_raw(context);
    return reciprocal(parameter_->variable());
  }
  return exp(neg(parameter_->variable()));
}

void Temperature::check_raw(const SequenceContext& context) const {
  if (in_dry_run()) {
    return;
  }
  const Tensor& values = parameter_->master();
  refuse_in_recording(values.device(), "raw temperatures are checked on the host in every step");
  const Tensor host = values.to(kCpu).to(Dtype::kF64);
  const std::int64_t heads = host.size(-1);
  for (std::int64_t i = 0; i < host.numel(); ++i) {
    const double t = host.data<double>()[i];
    CLS_CHECK(t > 0, GuardError, "layer ", context.layer, ", head ", i % heads,
              host.rank() == 2 ? concat(", position ", i / heads) : "", ": the raw temperature is ",
              t, "; it must stay above 0: use parametrization exp, or a lower learning rate");
  }
}

}  // namespace clausius
