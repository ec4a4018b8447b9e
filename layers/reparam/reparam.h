// SPDX-License-Identifier: Apache-2.0
// The reparametrisation family: weights that products read as a function of what is trained.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "autograd/parameter.h"
#include "autograd/rules/row_scales.h"
#include "core/registry.h"
#include "layers/init_stream.h"
#include "layers/reparam/linear_part.h"
#include "layers/reparam/sigma_fold.h"

namespace clausius {

/// `all`: every part but the head.
enum class AllParts { kAll };
constexpr auto words_of(AllParts /*unused*/) {
  return words("all");
}
using ApplyTo = std::variant<AllParts, std::vector<LinearPart>>;
[[nodiscard]] bool applies(const ApplyTo& apply_to, LinearPart part);

/// The key that every kind but `none` has.
struct ReparamKnobs {
  ApplyTo apply_to = AllParts::kAll;

  void visit(ConfigVisitor& v) {
    v.field("apply_to", apply_to, "parts of the model; all = every one but head");
  }
};

/// One matrix, some or all rows of a parameter.
struct ReparamMatrix {
  std::string path;  // of its gain and its state: blocks.0.mixer.qkv.q
  LinearPart part = LinearPart::kFeedForward;
  std::int64_t layer = 0;  // -1: the head's
  Parameter* weight = nullptr;
  std::int64_t first_row = 0;
  std::int64_t rows = 0;
  Parameter* gain = nullptr;  // where something is learned

  [[nodiscard]] std::int64_t columns() const { return weight->shape()[1]; }
  /// Its elements in the store's flat buffers.
  [[nodiscard]] FlatRange elements() const;
  /// Views [rows, columns].
  [[nodiscard]] Tensor value() const;
  [[nodiscard]] Tensor gradient() const;
};

/// A rectangle of a matrix.
struct MatrixPiece {
  FlatRange rows;
  FlatRange columns;

  [[nodiscard]] Tensor of(const Tensor& matrix) const;
};

/// The part of a matrix that lies in flat ranges, as rectangles: at most three a range.
[[nodiscard]] std::vector<MatrixPiece> pieces_in(const ReparamMatrix& matrix,
                                                 const std::vector<FlatRange>& ranges);

/// One number a matrix for whoever watches a run; norms estimated as training uses them.
struct ReparamReading {
  std::string path;
  std::int64_t layer = 0;  // -1: the head's
  LinearPart part = LinearPart::kFeedForward;
  double gamma = 0;  // |W_hat| up to the error of sigma; may be negative
  double sigma = 0;  // of W
};

/// A whole parameter as the weight of a plain model.
struct PlainWeight {
  std::string path;
  Tensor value;  // on the host, of the master's type
};

/// In place: the sum over ranks.
using SumOverRanks = std::function<void(Tensor& values)>;

/// What `model.linear.reparam` makes of the weights it applies to. Layers hand their weights over while they are built and multiply by what
/// they get back; the rest happens once a step: begin_step, any number of forward and backward passes, finish_gradients.
/// Adding a kind is one file: a config, a class, CLS_REGISTER.
class Reparam {
 public:
  Reparam(const ApplyTo& apply_to, ParameterStore& store, std::uint64_t seed);
  Reparam(const Reparam&) = delete;
  Reparam& operator=(const Reparam&) = delete;
  virtual ~Reparam() = default;

  /// Called by InitStream::reparametrize. What products multiply the rows of `weight` by, filled in later, valid as long as this.
  [[nodiscard]] const RowScales& add(Parameter& weight,
                                     std::vector<WeightRows> rows,
                                     const InitStream& init);
  /// When the store is laid out and filled: state, and gains that depend on the weights. With `restored` those are left to the
  /// checkpoint. Errors: ConfigError for a part that no weight belongs to, or a weight that has no norm.
  void start(bool restored);
  [[nodiscard]] bool empty() const { return matrices_.empty(); }
  [[nodiscard]] const std::vector<ReparamMatrix>& matrices() const { return matrices_; }

  /// Before the first forward pass of training step `step`, from 1; not in micro-batches or recomputations.
  /// Errors: GuardError naming a weight that is zero or not finite; ConfigError for a frozen weight with a gain that is not.
  virtual void begin_step(std::int64_t step) = 0;
  /// Before evaluation or generation, whenever parameters have changed. Leaves states alone. Errors: as above.
  virtual void begin_evaluation() = 0;
  /// dL/dW_hat in the weights' gradients becomes dL/dW, and the gains get theirs: once a step, after micro-batches and ranks have been
  /// added up, before anybody reads them. `sum`: where this process has whole gradients for what it owns alone.
  virtual void finish_gradients(const SumOverRanks& sum) = 0;
  /// Waits for a device.
  [[nodiscard]] virtual std::vector<ReparamReading> readings() const { return {}; }
  /// Memory beside parameters, gradients and optimizer.
  [[nodiscard]] virtual std::int64_t bytes() const = 0;

  /// The parameters that a model without reparametrisation computes the same from.
  [[nodiscard]] std::vector<PlainWeight> fold(SigmaFold fold) const;

 protected:
  /// Rows that one gain and norm belong to; as the layer gave them unless a kind joins some.
  [[nodiscard]] virtual std::vector<WeightRows> grouped(std::vector<WeightRows> rows) const {
    return rows;
  }
  /// nullptr where nothing is learned.
  [[nodiscard]] virtual Parameter* make_gain(const InitStream& init, std::int64_t rows) = 0;
  virtual void allocate() = 0;
  /// Values of states and gains at the start of a run.
  virtual void initialize() = 0;
  /// [rows, columns] on the host.
  [[nodiscard]] virtual Tensor plain(std::size_t matrix, SigmaFold fold) const = 0;

  /// The factor of a matrix in the products: one element where the weight is.
  void set_alpha(std::size_t matrix, const Tensor& alpha);
  void check_frozen() const;
  [[nodiscard]] ParameterStore& store() const { return store_; }
  [[nodiscard]] std::uint64_t seed() const { return seed_; }

 private:
  struct Place {
    std::size_t scales = 0;
    std::size_t run = 0;
  };

  ApplyTo apply_to_;
  ParameterStore& store_;
  std::uint64_t seed_;
  std::vector<ReparamMatrix> matrices_;
  std::deque<RowScales> scales_;  // of each weight; layers point to them
  std::vector<Place> places_;     // of each matrix
  std::vector<LinearPart> seen_;  // parts that the model has
};

/// What a recipe can be checked against before a model is made.
struct ReparamFacts {
  ApplyTo apply_to = std::vector<LinearPart>{};
  bool scale_free = false;  // scaling a weight does nothing: QK-clip cannot act on it
};

/// Kinds register themselves by name (recipe key model.linear.reparam).
template <>
struct RegistryTraits<Reparam> {
  static constexpr std::string_view kFamily = "reparam";
  using Context = NoContext;
  using Make = std::unique_ptr<Reparam>(ParameterStore& store, const std::uint64_t& seed);
  using Facts = ReparamFacts;
};

}  // namespace clausius
