// SPDX-License-Identifier: Apache-2.0
// Layout and buffers of parameters.
#include "autograd/parameter.h"

#include <array>

#include "autograd/tape.h"
#include "core/checked.h"
#include "core/dry_run.h"
#include "core/error.h"
#include "core/random.h"

namespace clausius {
namespace {

constexpr std::array<std::string_view, 14> kRoleNames = {
    "matrix", "embedding",   "head",      "position", "conv",  "bias",  "gain",
    "gamma",  "temperature", "threshold", "scale",    "slope", "decay", "query"};

}  // namespace

std::string_view name_of(Role role) {
  return kRoleNames[static_cast<std::size_t>(role)];
}

bool is_matmul_operand(Role role) {
  return role <= Role::kConv;
}

Tensor& Parameter::gradient() {
  CLS_CHECK(gradient_.defined(), InternalError, path_,
            ": no gradient buffer (allocate_gradients was not called)");
  return gradient_;
}

Variable Parameter::variable() {
  Tape* tape = store_->tape();
  return tape == nullptr || frozen_ ? Variable(value_) : tape->watch(*this);
}

void Parameter::finish_gradient() {
  if (!gradient_written_) {
    gradient().fill(0.0);
    gradient_written_ = true;
  }
}

ParameterStore::ParameterStore(Dtype compute, Dtype master, Device device)
    : compute_dtype_(compute), master_dtype_(master), device_(device) {}

Parameter& ParameterStore::add(const std::string& path,
                               Role role,
                               const Shape& shape,
                               std::function<void(Tensor&)> initialize) {
  CLS_CHECK(!master_.defined(), InternalError, "parameter ", path, " added after allocate()");
  CLS_CHECK(!by_path_.contains(path), InternalError, "two parameters are called ", path);
  const auto [stream, unique] = by_stream_.try_emplace(stream_of(path), path);
  CLS_CHECK(unique, InternalError, "parameters ", path, " and ", stream->second,
            " share a random stream; rename one");
  Parameter& parameter = parameters_.emplace_back();
  parameter.store_ = this;
  parameter.path_ = path;
  parameter.role_ = role;
  parameter.shape_ = shape;
  parameter.offset_ = size_;
  parameter.initialize_ = std::move(initialize);
  size_ += round_up(shape.numel(), kAlignElements);
  by_path_[path] = &parameter;
  return parameter;
}

void ParameterStore::add_alias(const std::string& path, const Parameter& parameter) {
  aliases_.emplace_back(path, parameter.path());
}

void ParameterStore::add_state(const std::string& path, Tensor value) {
  for (const StateTensor& state : states_) {
    CLS_CHECK(state.path != path, InternalError, "two states are called ", path);
  }
  states_.push_back({.path = path, .value = std::move(value)});
}

void ParameterStore::allocate(std::int64_t shares) {
  size_ = round_up(size_, kAlignElements * shares);
  owned_ = {{.begin = 0, .end = size_}};
  master_ = Tensor::zeros({size_}, master_dtype_, device_);
  if (compute_dtype_ == Dtype::kBf16) {
    compute_copy_ = Tensor::zeros({size_}, Dtype::kBf16, device_);
  }
  for (Parameter& parameter : parameters_) {
    const std::int64_t end = parameter.offset_ + parameter.numel();
    parameter.master_ = master_.slice(0, parameter.offset_, end).reshape(parameter.shape_);
    const bool copied = compute_copy_.defined() && is_matmul_operand(parameter.role_);
    parameter.value_ =
        copied ? compute_copy_.slice(0, parameter.offset_, end).reshape(parameter.shape_)
               : parameter.master_;
    if (!in_dry_run()) {
      initialize(parameter);
    }
    parameter.initialize_ = nullptr;
  }
  refresh_compute_copy();
}

// Values are drawn on the host, whatever the device: the same bits everywhere.
void ParameterStore::initialize(Parameter& parameter) {
  if (device_ == kCpu) {
    return parameter.initialize_(parameter.master_);
  }
  Tensor host = Tensor::empty(parameter.shape_, master_dtype_);
  parameter.initialize_(host);
  parameter.master_.copy_from(host);
}

void ParameterStore::allocate_gradients() {
  gradients_ = Tensor::zeros({size_}, master_dtype_, device_);
  for (Parameter& parameter : parameters_) {
    parameter.gradient_ =
        gradients_.slice(0, parameter.offset_, parameter.offset_ + parameter.numel())
            .reshape(parameter.shape_);
  }
}

Parameter* ParameterStore::find(std::string_view path) {
  const auto found = by_path_.find(std::string(path));
  return found == by_path_.end() ? nullptr : found->second;
}

std::int64_t ParameterStore::num_parameters() const {
  std::int64_t count = 0;
  for (const Parameter& parameter : parameters_) {
    count += parameter.numel();
  }
  return count;
}

void ParameterStore::refresh_compute_copy() {
  if (compute_copy_.defined()) {
    compute_copy_.copy_from(master_);
  }
}

void ParameterStore::begin_step() {
  for (Parameter& parameter : parameters_) {
    parameter.gradient_written_ = false;
  }
}

}  // namespace clausius
