// SPDX-License-Identifier: Apache-2.0
// Registration of parameters under their path.
#include "layers/init_stream.h"

#include <utility>

#include "layers/reparam/reparam.h"

namespace clausius {

std::string InitStream::path_of(std::string_view name) const {
  return path_.empty() ? std::string(name) : path_ + "." + std::string(name);
}

InitStream InitStream::child(std::string_view name) const {
  InitStream stream = *this;
  stream.path_ = path_of(name);
  return stream;
}

InitStream InitStream::with_shape(const LayerShape& shape) const {
  InitStream stream = *this;
  stream.shape_ = shape;
  return stream;
}

InitStream InitStream::with_reparam(Reparam& reparam) const {
  InitStream stream = *this;
  stream.reparam_ = &reparam;
  return stream;
}

InitStream InitStream::for_part(LinearPart part) const {
  InitStream stream = *this;
  stream.part_ = part;
  return stream;
}

const RowScales& InitStream::reparametrize(Parameter& weight, std::vector<WeightRows> rows) const {
  static const RowScales plain;
  if (reparam_ == nullptr || (rows.empty() && !part_)) {
    return plain;
  }
  if (rows.empty()) {
    rows.push_back({.name = "", .part = *part_, .rows = weight.shape()[0]});
  }
  return reparam_->add(weight, std::move(rows), *this);
}

Parameter& InitStream::weight(std::string_view name,
                              Role role,
                              const Shape& shape,
                              bool residual_output) const {
  const std::string path = path_of(name);
  const RandomStream stream{.seed = seed_, .stream = stream_of(path)};
  const InitRequest request{.role = role, .residual_output = residual_output, .shape = shape_};
  return store_->add(path, role, shape,
                     [initializer = initializer_, request, stream](Tensor& value) {
                       initializer->fill(value, request, stream);
                     });
}

Parameter& InitStream::constant(std::string_view name,
                                Role role,
                                const Shape& shape,
                                double value) const {
  return store_->add(path_of(name), role, shape, [value](Tensor& tensor) { tensor.fill(value); });
}

Parameter& InitStream::shared_constant(const std::string& path,
                                       Role role,
                                       const Shape& shape,
                                       double value) const {
  Parameter* const known = store_->find(path);
  return known != nullptr
             ? *known
             : store_->add(path, role, shape, [value](Tensor& tensor) { tensor.fill(value); });
}

}  // namespace clausius
