// SPDX-License-Identifier: Apache-2.0
// The tape: slots hold gradients, nodes hold rules.
#include "autograd/tape.h"

#include <unordered_map>

#include "autograd/parameter.h"
#include "core/error.h"
#include "core/ops/accumulate/accumulate.h"

namespace clausius {
namespace {

// One gradient buffer whose parts are the gradients of a split's outputs.
struct SplitBuffer {
  Shape shape;
  Dtype dtype = Dtype::kF32;
  Device device;
  Tensor buffer;
  std::function<Tensor(const Tensor&, int)> part_of;

  Tensor part(int index) {
    if (!buffer.defined()) {
      buffer = Tensor::empty(shape, dtype, device);
    }
    return part_of(buffer, index);
  }
};

struct Slot {
  Tensor gradient;
  bool written = false;
  bool leaf = false;
  Shape shape;
  Dtype dtype = Dtype::kF32;
  Device device;
  Parameter* parameter = nullptr;
  int uses = 0;
  std::shared_ptr<SplitBuffer> split;
  int part = 0;
};

struct Node {
  std::string_view name;
  std::vector<int> inputs;
  int first_output = 0;
  int num_outputs = 0;
  BackwardFn backward;
};

}  // namespace

struct Tape::Impl {
  std::vector<Slot> slots;
  std::vector<Node> nodes;
  std::unordered_map<const Parameter*, int> parameter_slots;
  bool walked = false;

  Slot& slot(int index) { return slots[static_cast<std::size_t>(index)]; }

  int new_slot(const Tensor& value) {
    Slot slot;
    slot.shape = value.shape();
    slot.dtype = value.dtype();
    slot.device = value.device();
    slots.push_back(std::move(slot));
    return static_cast<int>(slots.size()) - 1;
  }

  Destination destination(Slot& slot) {
    if (slot.parameter != nullptr) {
      const bool accumulate = slot.parameter->gradient_written();
      slot.parameter->set_gradient_written();
      return {slot.parameter->gradient(), accumulate};
    }
    const bool accumulate = slot.written;
    slot.written = true;
    if (slot.split != nullptr) {
      return {slot.split->part(slot.part), accumulate};
    }
    if (!accumulate) {
      slot.gradient = Tensor::empty(slot.shape, slot.dtype, slot.device);
    } else if (!slot.gradient.owns_storage_alone()) {
      slot.gradient = slot.gradient.clone();
    }
    return {slot.gradient, accumulate};
  }

  void give(Slot& slot, Tensor gradient) {
    CLS_CHECK(gradient.shape() == slot.shape, ShapeError, "gradient of shape ", gradient.shape(),
              " for a value of shape ", slot.shape);
    CLS_CHECK(slot.parameter != nullptr || gradient.dtype() == slot.dtype, DtypeError,
              "gradient of ", gradient.dtype(), " for a value of ", slot.dtype);
    const bool in_place = slot.parameter != nullptr || slot.split != nullptr || slot.written;
    if (!in_place) {
      slot.gradient = std::move(gradient);
      slot.written = true;
      return;
    }
    Destination target = destination(slot);
    if (target.accumulate) {
      ops::accumulate(gradient, target.tensor);
    } else {
      target.tensor.copy_from(gradient);
    }
  }

  void run(Tape& tape, std::size_t index) {
    Node& node = nodes[index];
    bool reached = false;
    for (int k = 0; k < node.num_outputs; ++k) {
      reached = reached || slot(node.first_output + k).written;
    }
    if (reached) {
      const ErrorFrame frame(node.name);
      Backward backward(tape, index);
      node.backward(backward);
    }
    node.backward = nullptr;
    for (int k = 0; k < node.num_outputs; ++k) {
      slot(node.first_output + k).gradient = Tensor();
      slot(node.first_output + k).split = nullptr;
    }
  }

  void finish_uses(const Node& node, const ReadyFn& ready) {
    for (const int input : node.inputs) {
      if (input < 0 || slot(input).parameter == nullptr) {
        continue;
      }
      Slot& parameter = slot(input);
      if (--parameter.uses == 0) {
        parameter.parameter->finish_gradient();
        if (ready) {
          ready(*parameter.parameter);
        }
      }
    }
  }
};

Tape::Tape() : impl_(std::make_unique<Impl>()) {}
Tape::~Tape() = default;

Variable Tape::watch(Tensor value) {
  const int slot = impl_->new_slot(value);
  impl_->slot(slot).leaf = true;
  return {std::move(value), this, slot};
}

Variable Tape::watch(Parameter& parameter) {
  const auto [found, added] = impl_->parameter_slots.try_emplace(&parameter, 0);
  if (added) {
    found->second = impl_->new_slot(parameter.value());
    impl_->slot(found->second).parameter = &parameter;
  }
  return {parameter.value(), this, found->second};
}

std::vector<Variable> Tape::append(std::string_view name,
                                   std::vector<Tensor> outputs,
                                   std::span<const Variable> inputs,
                                   BackwardFn backward) {
  CLS_CHECK(!impl_->walked, InternalError, "recording ", name, " on a tape that has been walked");
  Node node;
  node.name = name;
  node.backward = std::move(backward);
  for (const Variable& input : inputs) {
    CLS_CHECK(!input.tracked() || input.tape() == this, InternalError, name,
              ": inputs lie on two tapes");
    node.inputs.push_back(input.tracked() ? input.slot() : -1);
    if (input.tracked() && impl_->slot(input.slot()).parameter != nullptr) {
      ++impl_->slot(input.slot()).uses;
    }
  }
  node.first_output = static_cast<int>(impl_->slots.size());
  node.num_outputs = static_cast<int>(outputs.size());
  std::vector<Variable> variables;
  variables.reserve(outputs.size());
  for (Tensor& output : outputs) {
    const int slot = impl_->new_slot(output);
    variables.push_back(Variable(std::move(output), this, slot));
  }
  impl_->nodes.push_back(std::move(node));
  return variables;
}

std::vector<Variable> Tape::append_split(std::string_view name,
                                         const Variable& x,
                                         std::vector<Tensor> parts,
                                         std::function<Tensor(const Tensor&, int)> part_of) {
  auto split = std::make_shared<SplitBuffer>();
  split->shape = x.shape();
  split->dtype = x.dtype();
  split->device = x.value().device();
  split->part_of = std::move(part_of);
  const std::size_t index = impl_->nodes.size();
  std::vector<Variable> variables =
      append(name, std::move(parts), {&x, 1}, [this, split, index](Backward& b) {
        const Node& node = impl_->nodes[index];
        for (int k = 0; k < node.num_outputs; ++k) {
          if (!impl_->slot(node.first_output + k).written) {
            split->part(k).fill(0.0);
          }
        }
        b.give(0, std::move(split->buffer));
      });
  for (std::size_t k = 0; k < variables.size(); ++k) {
    Slot& slot = impl_->slot(variables[k].slot());
    slot.split = split;
    slot.part = static_cast<int>(k);
  }
  return variables;
}

void Tape::backward(std::span<const Seed> seeds, const ReadyFn& ready) {
  CLS_CHECK(!impl_->walked, InternalError, "backward called twice on one tape");
  impl_->walked = true;
  for (const Seed& seed : seeds) {
    if (seed.y.tracked()) {
      CLS_CHECK(seed.y.tape() == this, InternalError, "backward from a value of another tape");
      impl_->give(impl_->slot(seed.y.slot()), seed.dy);
    }
  }
  for (std::size_t index = impl_->nodes.size(); index-- > 0;) {
    impl_->run(*this, index);
    impl_->finish_uses(impl_->nodes[index], ready);
  }
}

void Tape::backward(const Variable& y, const Tensor& dy, const ReadyFn& ready) {
  const Seed seed{y, dy};
  backward({&seed, 1}, ready);
}

Tensor Tape::gradient(const Variable& leaf) const {
  CLS_CHECK(leaf.tape() == this && impl_->slot(leaf.slot()).leaf, InternalError,
            "gradient of a value that is no leaf");
  return impl_->slot(leaf.slot()).gradient;
}

int Tape::pending_uses(const Parameter& parameter) const {
  const auto found = impl_->parameter_slots.find(&parameter);
  return found == impl_->parameter_slots.end() ? 0 : impl_->slot(found->second).uses;
}

std::size_t Tape::num_nodes() const {
  return impl_->nodes.size();
}

const Tensor& Backward::dy(int k) const {
  return tape_.impl_->slot(tape_.impl_->nodes[node_].first_output + k).gradient;
}

bool Backward::needs(int input) const {
  return tape_.impl_->nodes[node_].inputs[static_cast<std::size_t>(input)] >= 0;
}

void Backward::give(int input, Tensor gradient) {
  if (needs(input) && gradient.defined()) {
    tape_.impl_->give(
        tape_.impl_->slot(tape_.impl_->nodes[node_].inputs[static_cast<std::size_t>(input)]),
        std::move(gradient));
  }
}

Destination Backward::destination(int input) {
  CLS_CHECK(needs(input), InternalError, "destination of an input that needs no gradient");
  return tape_.impl_->destination(
      tape_.impl_->slot(tape_.impl_->nodes[node_].inputs[static_cast<std::size_t>(input)]));
}

namespace detail {
Tape* tape_of(std::span<const Variable> inputs) {
  for (const Variable& input : inputs) {
    if (input.tracked()) {
      return input.tape();
    }
  }
  return nullptr;
}
}  // namespace detail

std::vector<Variable> record_many(std::string_view name,
                                  std::vector<Tensor> outputs,
                                  std::span<const Variable> inputs,
                                  BackwardFn backward) {
  Tape* tape = detail::tape_of(inputs);
  if (tape != nullptr) {
    return tape->append(name, std::move(outputs), inputs, std::move(backward));
  }
  std::vector<Variable> constants;
  constants.reserve(outputs.size());
  for (Tensor& output : outputs) {
    constants.emplace_back(std::move(output));
  }
  return constants;
}

}  // namespace clausius
