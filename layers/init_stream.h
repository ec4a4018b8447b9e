// SPDX-License-Identifier: Apache-2.0
// Where a layer's parameters go and how they start: a value passed down the constructors.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/parameter.h"
#include "autograd/rules/row_scales.h"
#include "core/random.h"
#include "layers/layer_shape.h"
#include "layers/reparam/linear_part.h"

namespace clausius {

class Reparam;

/// What an initializer may depend on.
struct InitRequest {
  Role role = Role::kMatrix;
  /// The matrix writes into the residual stream (attention output, second feed-forward matrix).
  bool residual_output = false;
  LayerShape shape;
};

/// A distribution for weights (recipe key model.init). Kinds register themselves by name.
class Initializer {
 public:
  Initializer() = default;
  Initializer(const Initializer&) = delete;
  Initializer& operator=(const Initializer&) = delete;
  virtual ~Initializer() = default;
  /// Fills `value` from elements 0, 1, .. of the stream.
  virtual void fill(Tensor& value,
                    const InitRequest& request,
                    const RandomStream& stream) const = 0;
};

/// Path, seed and shape for the parameters of one layer. The numbers of a parameter are Philox(seed, hash of its path, element), so
/// adding a layer changes no other layer's start.
class InitStream {
 public:
  InitStream(ParameterStore& store,
             const Initializer& initializer,
             std::uint64_t seed,
             const LayerShape& shape)
      : store_(&store), initializer_(&initializer), seed_(seed), shape_(shape) {}

  /// The same stream one level down the path: "layers.3" -> "layers.3.mixer".
  [[nodiscard]] InitStream child(std::string_view name) const;
  [[nodiscard]] InitStream with_shape(const LayerShape& shape) const;
  /// For a model whose weights `reparam` changes.
  [[nodiscard]] InitStream with_reparam(Reparam& reparam) const;
  /// For the layers that are this part of the model.
  [[nodiscard]] InitStream for_part(LinearPart part) const;
  [[nodiscard]] const std::optional<LinearPart>& part() const { return part_; }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const LayerShape& shape() const { return shape_; }
  [[nodiscard]] ParameterStore& store() const { return *store_; }
  [[nodiscard]] std::string path_of(std::string_view name) const;

  /// A weight drawn from the recipe's initializer.
  [[nodiscard]] Parameter& weight(std::string_view name,
                                  Role role,
                                  const Shape& shape,
                                  bool residual_output = false) const;
  /// Every element starts at `value`.
  [[nodiscard]] Parameter& constant(std::string_view name,
                                    Role role,
                                    const Shape& shape,
                                    double value) const;
  /// The same under a path of the model, not of the layer: one parameter for all layers that ask for it.
  [[nodiscard]] Parameter& shared_constant(const std::string& path,
                                           Role role,
                                           const Shape& shape,
                                           double value) const;

  /// Hands a matrix weight of this layer to the model's reparametrisation. `rows`: the matrices it is made of, from the first row; none:
  /// it is one, of this stream's part.
  /// Value: what products must multiply the rows by, for autograd/rules/linear.h: filled in when the model is made; empty where nothing.
  [[nodiscard]] const RowScales& reparametrize(Parameter& weight,
                                               std::vector<WeightRows> rows = {}) const;

 private:
  ParameterStore* store_;
  const Initializer* initializer_;
  std::uint64_t seed_;
  LayerShape shape_;
  std::string path_;
  Reparam* reparam_ = nullptr;
  std::optional<LinearPart> part_;
};

}  // namespace clausius
