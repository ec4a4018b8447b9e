// SPDX-License-Identifier: Apache-2.0
// Where a layer's parameters go and how they start: a value passed down the constructors.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "autograd/parameter.h"
#include "core/random.h"
#include "layers/layer_shape.h"

namespace clausius {

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

 private:
  ParameterStore* store_;
  const Initializer* initializer_;
  std::uint64_t seed_;
  LayerShape shape_;
  std::string path_;
};

}  // namespace clausius
