// SPDX-License-Identifier: Apache-2.0
// weight_norm: the length of every row of a weight is a number of its own.
#include "core/ops/weight_norm/weight_norm.h"

#include <cmath>

#include "core/checked.h"
#include "core/dry_run.h"
#include "layers/reparam/reparam.h"

namespace clausius {
namespace {

struct WeightNormConfig : ReparamKnobs {
  static constexpr std::string_view kDoc =
      "w = g v / |v| for each output: lengths and directions of rows are learned apart.";
  [[nodiscard]] ReparamFacts facts() const { return {.apply_to = apply_to, .scale_free = true}; }
};

/// Unlike the spectral kinds it makes w once a step, in memory of its own (the bf16 copy where there is one): a factor for each row would
/// cost a pass over the outputs of every product instead.
/// Parameters: PATH.gain [rows] of each matrix, role gain, starting at |v|: the plain model.
/// Source:     Salimans and Kingma 2016, "Weight Normalization".
class WeightNorm final : public Reparam {
 public:
  WeightNorm(const WeightNormConfig& config, ParameterStore& store, std::uint64_t seed)
      : Reparam(config.apply_to, store, seed) {}

  void begin_step(std::int64_t /*step*/) override {
    check_frozen();
    make_weights();
  }

  void begin_evaluation() override { make_weights(); }

  void finish_gradients(const SumOverRanks& sum) override {
    if (!c_M_.defined()) {
      connect_gradients();
    }
    c_M_.fill(0.0);
    for (Piece& piece : pieces_) {
      ops::weight_norm_products(piece.v_MN, piece.gradient_MN, piece.c_M);
    }
    if (sum) {
      sum(c_M_);
    }
    for (Piece& piece : pieces_) {
      ops::weight_norm_apply(piece.v_MN, piece.gain_M, piece.norm_M, piece.c_M, piece.gradient_MN);
    }
    for (std::size_t e = 0; e < matrices().size(); ++e) {
      if (!matrices()[e].gain->frozen()) {
        Tensor dgain = matrices()[e].gain->gradient();
        ops::weight_norm_gain_gradient(rows_of(e, norm_M_), rows_of(e, c_M_), dgain);
      }
    }
  }

  std::int64_t bytes() const override {
    std::uint64_t bytes = norm_M_.defined() ? norm_M_.bytes() : 0;
    for (const Tensor& buffer : buffers_) {
      bytes += buffer.bytes();
    }
    return narrow<std::int64_t>(bytes);
  }

 protected:
  Parameter* make_gain(const InitStream& init, std::int64_t rows) override {
    return &init.constant("gain", Role::kGain, {rows}, 1.0);
  }

  void allocate() override {
    std::int64_t rows = 0;
    const Parameter* last = nullptr;
    for (const ReparamMatrix& matrix : matrices()) {
      row_at_.push_back(rows);
      rows += matrix.rows;
      Parameter& weight = *matrix.weight;
      if (&weight != last && weight.value().dtype() == weight.master().dtype()) {
        buffers_.push_back(
            Tensor::empty(weight.shape(), weight.master().dtype(), store().device()));
        weight.read_from(buffers_.back());
      }
      last = &weight;
    }
    find_gaps();
    norm_M_ = Tensor::zeros({rows}, store().master().dtype(), store().device());
  }

  void initialize() override {
    for (const ReparamMatrix& matrix : matrices()) {
      Tensor w = Tensor::empty({matrix.rows, matrix.columns()}, norm_M_.dtype(), store().device());
      Tensor norms = Tensor::empty({matrix.rows}, norm_M_.dtype(), store().device());
      ops::weight_norm(matrix.value(), matrix.gain->master(), norms, w);
      matrix.gain->master().copy_from(norms);
    }
  }

  Tensor plain(std::size_t matrix, SigmaFold /*fold*/) const override {
    const Tensor v = matrices()[matrix].value().to(kCpu).to(Dtype::kF64);
    const Tensor gain = matrices()[matrix].gain->master().to(kCpu).to(Dtype::kF64);
    Tensor norms = Tensor::empty(gain.shape(), Dtype::kF64);
    Tensor w = Tensor::empty(v.shape(), Dtype::kF64);
    ops::weight_norm(v, gain, norms, w);
    return w.to(norm_M_.dtype());
  }

 private:
  struct Piece {
    Tensor v_MN;
    Tensor gradient_MN;
    Tensor gain_M;
    Tensor norm_M;
    Tensor c_M;
  };

  /// Rows of a weight that belong to no matrix.
  struct Gap {
    Tensor from;
    Tensor to;
  };

  void find_gaps() {
    for (std::size_t e = 0; e < matrices().size(); ++e) {
      const Parameter& weight = *matrices()[e].weight;
      const bool first = e == 0 || matrices()[e - 1].weight != &weight;
      const bool last = e + 1 == matrices().size() || matrices()[e + 1].weight != &weight;
      const std::int64_t before = first ? 0 : matrices()[e - 1].first_row + matrices()[e - 1].rows;
      const std::int64_t end = matrices()[e].first_row + matrices()[e].rows;
      add_gap(weight, before, matrices()[e].first_row);
      add_gap(weight, end, last ? weight.shape()[0] : end);
    }
  }

  void add_gap(const Parameter& weight, std::int64_t begin, std::int64_t end) {
    if (begin < end) {
      gaps_.push_back({.from = weight.master().slice(0, begin, end),
                       .to = weight.value().slice(0, begin, end)});
    }
  }

  [[nodiscard]] Tensor rows_of(std::size_t matrix, const Tensor& all_M) const {
    return all_M.slice(0, row_at_[matrix], row_at_[matrix] + matrices()[matrix].rows);
  }

  void make_weights() {
    for (Gap& gap : gaps_) {
      gap.to.copy_from(gap.from);
    }
    for (std::size_t e = 0; e < matrices().size(); ++e) {
      const ReparamMatrix& matrix = matrices()[e];
      Tensor w = matrix.weight->value().slice(0, matrix.first_row, matrix.first_row + matrix.rows);
      Tensor norms = rows_of(e, norm_M_);
      ops::weight_norm(matrix.value(), matrix.gain->master(), norms, w);
    }
    check_norms();
  }

  // On a device a row without a length shows in the loss.
  void check_norms() const {
    if (in_dry_run() || store().device() != kCpu) {
      return;
    }
    const Tensor norms = norm_M_.to(Dtype::kF64);
    for (std::size_t e = 0; e < matrices().size(); ++e) {
      for (std::int64_t row = 0; row < matrices()[e].rows; ++row) {
        const double norm = norms.data<double>()[row_at_[e] + row];
        CLS_CHECK(std::isfinite(norm) && norm > 0, GuardError, matrices()[e].weight->path(),
                  ": row ", matrices()[e].first_row + row, " has length ", norm,
                  ", which weight_norm cannot divide by");
      }
    }
  }

  void connect_gradients() {
    c_M_ = Tensor::zeros(norm_M_.shape(), Dtype::kF64, store().device());
    for (std::size_t e = 0; e < matrices().size(); ++e) {
      const ReparamMatrix& matrix = matrices()[e];
      if (matrix.weight->frozen()) {
        continue;
      }
      for (const MatrixPiece& piece : pieces_in(matrix, store().owned())) {
        const auto rows = [&](const Tensor& x) {
          return x.slice(0, piece.rows.begin, piece.rows.end);
        };
        pieces_.push_back({.v_MN = piece.of(matrix.value()),
                           .gradient_MN = piece.of(matrix.gradient()),
                           .gain_M = rows(matrix.gain->master()),
                           .norm_M = rows(rows_of(e, norm_M_)),
                           .c_M = rows(rows_of(e, c_M_))});
      }
    }
  }

  std::vector<std::int64_t> row_at_;  // of each matrix, among the rows of all
  std::vector<Tensor> buffers_;       // that products read where there is no bf16 copy
  std::vector<Gap> gaps_;
  Tensor norm_M_;
  Tensor c_M_;  // <G, v> of each row
  std::vector<Piece> pieces_;
};

CLS_REGISTER(Reparam, "weight_norm", WeightNorm, WeightNormConfig);

}  // namespace
}  // namespace clausius
