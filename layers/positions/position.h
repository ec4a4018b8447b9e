// SPDX-License-Identifier: Apache-2.0
// The position family: how a model knows where a token stands.
#pragma once

#include <cstdint>
#include <memory>

#include "autograd/variable.h"
#include "core/registry.h"
#include "layers/context.h"
#include "layers/init_stream.h"

// Legend: B batch, T tokens, M model dim.
namespace clausius {

/// What is known of a position before it is made. Configs say it: `PositionTraits facts() const`.
struct PositionTraits {
  bool on_input = false;  // acts on the model's input: once, not in a per-layer pattern
  bool rotates = false;   // gives mixers a rope table
  bool limited = false;   // knows no position at or above the model's context_length
};

/// Either added to the input of the model, or a rotation that mixers apply to q and k. Kinds register themselves by name (recipe key
/// model.position).
class Position {
 public:
  Position() = default;
  Position(const Position&) = delete;
  Position& operator=(const Position&) = delete;
  virtual ~Position() = default;

  /// x + position, for kinds on the input.
  [[nodiscard]] virtual Variable add(const Variable& x_BTM, const SequenceContext& context) const;
  /// The table of a rotation over `head_dim` for positions below `count`, in `dtype`; undefined tensors from kinds on the input.
  [[nodiscard]] virtual ops::RopeTable table(std::int64_t head_dim,
                                             std::int64_t count,
                                             Dtype dtype) const;
};

template <>
struct RegistryTraits<Position> {
  static constexpr std::string_view kFamily = "position";
  using Context = LayerShape;
  using Make = std::unique_ptr<Position>(const LayerShape&, const InitStream&);
  using Facts = PositionTraits;
};

}  // namespace clausius
