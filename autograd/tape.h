// SPDX-License-Identifier: Apache-2.0
// Tape: what ran, in order; walked backwards once, it yields gradients.
#pragma once

#include <concepts>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "autograd/variable.h"
#include "core/tensor.h"

namespace clausius {

class Parameter;
class Tape;

/// One gradient per input, in order; an undefined tensor means "none".
using Gradients = std::vector<Tensor>;

/// Where a rule may write a gradient instead of returning it: straight into a parameter's flat
/// gradient buffer, into a part of a split tensor, or into a sum that other uses have started
/// (`accumulate`: add, else overwrite every element).
struct Destination {
  Tensor tensor;
  bool accumulate = false;
};

/// What a rule's backward sees: gradients of its outputs come in, gradients of its inputs go out.
class Backward {
 public:
  /// Gradient of output `k`; undefined when none arrived.
  [[nodiscard]] const Tensor& dy(int k = 0) const;
  [[nodiscard]] bool needs(int input) const;
  /// Adds to the gradient of `input`. Ignored when the input needs none or the gradient is
  /// undefined.
  void give(int input, Tensor gradient);
  /// A place for the gradient of `input`, which must be needed; the rule then writes or adds every
  /// element itself.
  [[nodiscard]] Destination destination(int input);

 private:
  friend class Tape;
  Backward(Tape& tape, std::size_t node) : tape_(tape), node_(node) {}
  Tape& tape_;
  std::size_t node_;
};

using BackwardFn = std::function<void(Backward&)>;

/// A flat list of nodes in execution order. `backward` walks it in reverse, once, and frees what
/// each node saved as it goes: no graph, no sort, no cycles. First order only. Not thread-safe: one
/// tape, one thread.
class Tape {
 public:
  Tape();
  ~Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  /// A leaf whose gradient is read with `gradient` after `backward`.
  [[nodiscard]] Variable watch(Tensor value);
  /// A leaf whose gradient goes to the parameter's own buffer.
  [[nodiscard]] Variable watch(Parameter& parameter);

  struct Seed {
    Variable y;
    Tensor dy;
  };
  using ReadyFn = std::function<void(Parameter&)>;
  /// Runs every rule in reverse from the seeds (sum of <y, dy>). `ready` is called once for each
  /// parameter used on this tape, as soon as its gradient is final. Errors: InternalError when
  /// called twice; ShapeError when dy does not have the shape of y.
  void backward(std::span<const Seed> seeds, const ReadyFn& ready = {});
  void backward(const Variable& y, const Tensor& dy, const ReadyFn& ready = {});

  /// Gradient that reached a leaf made by watch(Tensor); undefined when none did.
  [[nodiscard]] Tensor gradient(const Variable& leaf) const;
  /// Uses of a parameter that have not been walked yet.
  [[nodiscard]] int pending_uses(const Parameter& parameter) const;
  [[nodiscard]] std::size_t num_nodes() const;

  /// For rules: appends a node. Prefer record() and record_many().
  std::vector<Variable> append(std::string_view name,
                               std::vector<Tensor> outputs,
                               std::span<const Variable> inputs,
                               BackwardFn backward);
  /// Makes the outputs of the last node parts of one gradient buffer shaped like its only input:
  /// consumers write in place.
  std::vector<Variable> append_split(std::string_view name,
                                     const Variable& x,
                                     std::vector<Tensor> parts,
                                     std::function<Tensor(const Tensor&, int)> part_of);

 private:
  friend class Backward;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

namespace detail {
[[nodiscard]] Tape* tape_of(std::span<const Variable> inputs);

template <class Fn>
BackwardFn as_backward(Fn fn) {
  if constexpr (std::is_invocable_r_v<Gradients, Fn, const Tensor&>) {
    return [fn = std::move(fn)](Backward& b) {
      Gradients gradients = fn(b.dy());
      for (std::size_t i = 0; i < gradients.size(); ++i) {
        b.give(static_cast<int>(i), std::move(gradients[i]));
      }
    };
  } else {
    return fn;
  }
}
}  // namespace detail

/// Puts `y` on the tape of the inputs (none: a constant). `backward` is either `Gradients(const
/// Tensor& dy)`, one gradient per input, or `void(Backward&)` for rules that skip unneeded inputs
/// or write in place. It is not called when no gradient reaches y.
template <class Fn>
[[nodiscard]] Variable record(std::string_view name,
                              Tensor y,
                              std::initializer_list<Variable> inputs,
                              Fn backward) {
  const std::span<const Variable> list(inputs.begin(), inputs.size());
  Tape* tape = detail::tape_of(list);
  if (tape == nullptr) {
    return Variable(std::move(y));
  }
  return tape->append(name, {std::move(y)}, list, detail::as_backward(std::move(backward)))[0];
}

/// The same for several outputs; `backward` takes Backward& and is called when a gradient reaches
/// any of them.
[[nodiscard]] std::vector<Variable> record_many(std::string_view name,
                                                std::vector<Tensor> outputs,
                                                std::span<const Variable> inputs,
                                                BackwardFn backward);

}  // namespace clausius
