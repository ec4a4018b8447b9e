// SPDX-License-Identifier: Apache-2.0
// Parameters: named views of flat buffers that the optimizer, the all-reduce and checkpoints walk
// as ranges.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "autograd/variable.h"
#include "core/tensor.h"

namespace clausius {

/// What a parameter is for; recipes choose optimizer groups by it.
enum class Role : std::uint8_t {
  kMatrix,
  kEmbedding,
  kHead,
  kPosition,
  kConv,
  kBias,
  kGain,
  kGamma,
  kTemperature,
  kThreshold,
  kScale,
  kSlope,
  kDecay,
  kQuery,
};

[[nodiscard]] std::string_view name_of(Role role);
/// Weights that matmuls read: they get a bf16 copy under bf16 precision; all other roles stay f32.
[[nodiscard]] bool is_matmul_operand(Role role);

class ParameterStore;

/// Elements [begin, end) of a store's flat buffers.
struct FlatRange {
  std::int64_t begin = 0;
  std::int64_t end = 0;

  [[nodiscard]] std::int64_t size() const { return end - begin; }
};

/// A named, trained tensor. Lives in its store; layers hold references.
class Parameter {
 public:
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] Role role() const { return role_; }
  [[nodiscard]] const Shape& shape() const { return shape_; }
  /// First element in the store's flat buffers, in elements.
  [[nodiscard]] std::int64_t offset() const { return offset_; }
  [[nodiscard]] std::int64_t numel() const { return shape_.numel(); }

  /// What forward reads: the bf16 copy of a matmul operand under bf16 precision, else the master; or what read_from() gave.
  [[nodiscard]] const Tensor& value() const { return value_; }
  /// Forward reads `value` from now on, which somebody makes from the master before each step (its gradient is the parameter's).
  void read_from(Tensor value) { value_ = std::move(value); }
  /// The f32 (f64 in tests) master.
  [[nodiscard]] Tensor& master() { return master_; }
  [[nodiscard]] const Tensor& master() const { return master_; }
  /// View of the store's gradient buffer. Errors: InternalError before the store has gradients.
  [[nodiscard]] Tensor& gradient();
  /// Frozen parameters are constants: no gradient is computed, nothing updates them.
  [[nodiscard]] bool frozen() const { return frozen_; }
  void set_frozen(bool frozen) { frozen_ = frozen; }
  /// Elements [begin, end) of it whose length is no part of the function (a reparametrised matrix): weight decay leaves them alone
  /// unless a group asks for it.
  void exclude_from_decay(FlatRange elements) { undecayed_.push_back(elements); }
  [[nodiscard]] const std::vector<FlatRange>& undecayed() const { return undecayed_; }
  /// A leaf on the tape the store is bound to; a constant when it is bound to none, or frozen.
  [[nodiscard]] Variable variable();

  /// Gradient accumulation: the first use of a step writes, later ones add.
  [[nodiscard]] bool gradient_written() const { return gradient_written_; }
  void set_gradient_written() { gradient_written_ = true; }
  /// Zero when nothing was written in this step.
  void finish_gradient();

 private:
  friend class ParameterStore;
  ParameterStore* store_ = nullptr;
  std::string path_;
  Role role_ = Role::kMatrix;
  Shape shape_;
  std::int64_t offset_ = 0;
  Tensor master_;
  Tensor value_;
  Tensor gradient_;
  bool gradient_written_ = false;
  bool frozen_ = false;
  std::vector<FlatRange> undecayed_;
  std::function<void(Tensor&)> initialize_;
};

/// A tensor that a run cannot go on without and nothing trains: it stands in checkpoints, is never reduced, and is the same on every rank.
struct StateTensor {
  std::string path;
  Tensor value;
};

/// All parameters of a model in flat buffers of equal offsets: master values, gradients and (bf16
/// precision) the compute copy. Each parameter starts on a 64-byte border of the master buffer and
/// is zero-padded to the next. Order is that of registration.
class ParameterStore {
 public:
  /// Parameters begin at multiples of this many elements: 64 bytes of f32.
  static constexpr std::int64_t kAlignElements = 16;

  /// `compute`: kF32 or kBf16. `master`: kF32; kF64 for gradient checks.
  explicit ParameterStore(Dtype compute = Dtype::kF32,
                          Dtype master = Dtype::kF32,
                          Device device = kCpu);
  ParameterStore(const ParameterStore&) = delete;
  ParameterStore& operator=(const ParameterStore&) = delete;

  /// Registers a parameter; `initialize` fills its master later, in allocate(). Errors:
  /// InternalError on a path used twice or after allocate().
  Parameter& add(const std::string& path,
                 Role role,
                 const Shape& shape,
                 std::function<void(Tensor&)> initialize);
  /// Another name for a parameter (a tied weight); checkpoints store it as an alias.
  void add_alias(const std::string& path, const Parameter& parameter);
  /// Lays out the buffers and initializes every parameter (in a dry run: the layout alone). The buffers are padded to a multiple of
  /// `shares` times 64 bytes of master values, for that many ranks to share them evenly.
  void allocate(std::int64_t shares = 1);
  /// Makes the gradient buffer (training only).
  void allocate_gradients();

  [[nodiscard]] std::deque<Parameter>& parameters() { return parameters_; }
  [[nodiscard]] const std::deque<Parameter>& parameters() const { return parameters_; }
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& aliases() const {
    return aliases_;
  }
  /// nullptr when there is none.
  [[nodiscard]] Parameter* find(std::string_view path);
  /// Elements of the flat buffers, padding included.
  [[nodiscard]] std::int64_t size() const { return size_; }
  /// Parameters alone, without padding.
  [[nodiscard]] std::int64_t num_parameters() const;
  [[nodiscard]] Tensor& master() { return master_; }
  [[nodiscard]] const Tensor& master() const { return master_; }
  [[nodiscard]] Tensor& gradients() { return gradients_; }
  /// Undefined unless bf16.
  [[nodiscard]] Tensor& compute_copy() { return compute_copy_; }
  [[nodiscard]] Dtype compute_dtype() const { return compute_dtype_; }
  [[nodiscard]] Device device() const { return device_; }

  /// What this process updates, in order; the optimizer keeps state for these alone. All of it, until set_owned().
  [[nodiscard]] const std::vector<FlatRange>& owned() const { return owned_; }
  void set_owned(std::vector<FlatRange> ranges) { owned_ = std::move(ranges); }

  /// Shares memory with `value`. Errors: InternalError on a path used twice.
  void add_state(const std::string& path, Tensor value);
  [[nodiscard]] std::vector<StateTensor>& states() { return states_; }
  [[nodiscard]] const std::vector<StateTensor>& states() const { return states_; }

  /// Rounds the master into the compute copy (after loading; the optimizer pass does it itself).
  void refresh_compute_copy();
  /// Forgets which gradients were written.
  void begin_step();

  [[nodiscard]] Tape* tape() const { return tape_; }

  /// While one lives, Parameter::variable() gives leaves of `tape`, or constants for nullptr.
  class Bind {
   public:
    Bind(ParameterStore& store, Tape* tape) : store_(store), previous_(store.tape_) {
      store.tape_ = tape;
    }
    ~Bind() { store_.tape_ = previous_; }
    Bind(const Bind&) = delete;
    Bind& operator=(const Bind&) = delete;

   private:
    ParameterStore& store_;
    Tape* previous_;
  };

 private:
  void initialize(Parameter& parameter);

  Dtype compute_dtype_;
  Dtype master_dtype_;
  Device device_;
  std::deque<Parameter> parameters_;
  std::unordered_map<std::string, Parameter*> by_path_;
  std::unordered_map<std::uint32_t, std::string> by_stream_;
  std::vector<std::pair<std::string, std::string>> aliases_;
  std::vector<StateTensor> states_;
  std::int64_t size_ = 0;
  std::vector<FlatRange> owned_;
  Tensor master_;
  Tensor gradients_;
  Tensor compute_copy_;
  Tape* tape_ = nullptr;
};

/// Evaluation: nothing the store's parameters take part in is recorded while one lives.
class NoGrad : public ParameterStore::Bind {
 public:
  explicit NoGrad(ParameterStore& store) : Bind(store, nullptr) {}
};

}  // namespace clausius
