// SPDX-License-Identifier: Apache-2.0
// The step of a spectrally normalised model: refresh, factors, gradients.
#include "layers/reparam/spectral.h"

#include <cmath>

#include "core/checked.h"
#include "core/dry_run.h"
#include "core/ops/sigma_gain/sigma_gain.h"
#include "core/ops/spectral_refresh/spectral_refresh.h"
#include "core/ops/sum_of_squares/sum_of_squares.h"

namespace clausius {
namespace {

// Of one matrix, where ranks share the buffers: three for each of the two or so ranges that it may lie in.
constexpr std::int64_t kMostPieces = 12;

bool is_norm(double value) {
  return std::isfinite(value) && value > 0;
}

// A weight that no vector can help.
void check_weight(const Tensor& weight, const std::string& name) {
  const double squares = ops::sum_of_squares(weight.contiguous()).item();
  CLS_CHECK(
      std::isfinite(squares), GuardError, name,
      ": the weight holds NaN, infinities or values near the largest float; its spectral norm "
      "is not finite");
  CLS_CHECK(squares > 0, GuardError, name,
            ": the weight is zero and has no spectral norm to divide by. To start a branch at zero "
            "use gamma = 0");
}

}  // namespace

SpectralReparam::SpectralReparam(const SpectralKnobs& knobs,
                                 bool grad_through_sigma,
                                 ParameterStore& store,
                                 std::uint64_t seed)
    : Reparam(knobs.apply_to, store, seed),
      knobs_(knobs),
      grad_through_sigma_(grad_through_sigma) {}

void SpectralReparam::allocate() {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  for (const ReparamMatrix& matrix : matrices()) {
    weights_.push_back(matrix.value());
    gains_.push_back(matrix.gain != nullptr ? matrix.gain->master() : Tensor());
    names_.push_back(matrix.path);
    u_at_.push_back(columns);
    v_at_.push_back(rows);
    rows += matrix.rows;
    columns += matrix.columns();
  }
  const Dtype dtype = store().master().dtype();
  const Device device = store().device();
  const std::int64_t count = std::ssize(matrices());
  u_ = Tensor::zeros({columns}, dtype, device);
  v_ = Tensor::zeros({rows}, dtype, device);
  sigma_ = Tensor::zeros({count}, dtype, device);
  gamma_ = Tensor::zeros({count}, dtype, device);
  alpha_ = Tensor::zeros({count}, dtype, device);
  for (std::int64_t e = 0; e < count; ++e) {
    set_alpha(static_cast<std::size_t>(e), alpha_.slice(0, e, e + 1));
    store().add_state(names_[static_cast<std::size_t>(e)] + ".u",
                      u_of(static_cast<std::size_t>(e), u_));
  }
}

Tensor SpectralReparam::u_of(std::size_t matrix, const Tensor& u) const {
  return u.slice(0, u_at_[matrix], u_at_[matrix] + matrices()[matrix].columns());
}

RandomStream SpectralReparam::stream_for(std::size_t matrix) const {
  return {.seed = seed(), .stream = stream_of(names_[matrix] + ".u")};
}

LeadingSingular SpectralReparam::first_vector(std::size_t matrix) const {
  switch (knobs_.vector_init) {
    case VectorInit::kLanczos:
      return leading_singular_lanczos(weights_[matrix], stream_for(matrix), names_[matrix]);
    case VectorInit::kSvd:
      return leading_singular_svd(weights_[matrix].to(kCpu), names_[matrix]);
    case VectorInit::kRandom:
      break;
  }
  LeadingSingular random;
  random.u_N = random_unit(matrices()[matrix].columns(), stream_for(matrix));
  return random;
}

double SpectralReparam::exact_norm(std::size_t matrix) const {
  return exact_norms_[matrix] > 0
             ? exact_norms_[matrix]
             : leading_singular_lanczos(weights_[matrix], stream_for(matrix), names_[matrix]).sigma;
}

void SpectralReparam::initialize() {
  for (std::size_t e = 0; e < matrices().size(); ++e) {
    const LeadingSingular start = first_vector(e);
    u_of(e, u_).copy_from(start.u_N);
    exact_norms_.push_back(start.sigma);
  }
}

void SpectralReparam::settle(Tensor& u) {
  if (in_dry_run()) {
    return;
  }
  const Tensor sigmas = sigma_.to(kCpu).to(Dtype::kF64);
  bool sought = false;
  for (std::size_t e = 0; e < matrices().size(); ++e) {
    if (is_norm(sigmas.span<double>()[e])) {
      continue;
    }
    check_weight(weights_[e], matrices()[e].weight->path());
    u_of(e, u).copy_from(leading_singular_lanczos(weights_[e], stream_for(e), names_[e]).u_N);
    sought = true;
  }
  if (sought) {
    ops::spectral_evaluate(weights_, u, v_, sigma_);
    ops::check_sigmas(sigma_, names_);
  }
  ops::sigma_alphas(gains_, sigma_, gamma_, alpha_);
}

void SpectralReparam::begin_step(std::int64_t step) {
  check_frozen();
  if ((step - 1) % knobs_.refresh_every == 0) {
    ops::spectral_refresh(weights_, u_, v_, sigma_, narrow<int>(knobs_.power_iterations));
  } else {
    ops::spectral_evaluate(weights_, u_, v_, sigma_);
  }
  settle(u_);
}

void SpectralReparam::begin_evaluation() {
  Tensor u = u_.clone();
  ops::spectral_refresh(weights_, u, v_, sigma_);
  settle(u);
}

void SpectralReparam::connect_gradients() {
  connected_ = true;
  const std::vector<FlatRange>& owned = store().owned();
  const bool whole = owned.size() == 1 && owned[0].begin == 0 && owned[0].end == store().size();
  c_ES_ = Tensor::zeros({std::ssize(matrices()), whole ? 1 : kMostPieces}, Dtype::kF64,
                        store().device());
  for (std::size_t e = 0; e < matrices().size(); ++e) {
    const ReparamMatrix& matrix = matrices()[e];
    const auto at = static_cast<std::int64_t>(e);
    const bool learned = matrix.gain != nullptr && !matrix.gain->frozen();
    dgammas_.push_back(learned ? matrix.gain->gradient() : Tensor());
    if (matrix.weight->frozen()) {
      continue;
    }
    const std::vector<MatrixPiece> pieces = pieces_in(matrix, owned);
    CLS_CHECK(std::ssize(pieces) <= c_ES_.size(1), InternalError, matrix.path, " lies in ",
              pieces.size(), " pieces");
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      const MatrixPiece& piece = pieces[i];
      pieces_.push_back(
          {.weight_MN = piece.of(weights_[e]),
           .gradient_MN = piece.of(matrix.gradient()),
           .u_N = u_.slice(0, u_at_[e] + piece.columns.begin, u_at_[e] + piece.columns.end),
           .v_M = v_.slice(0, v_at_[e] + piece.rows.begin, v_at_[e] + piece.rows.end),
           .sigma = sigma_.slice(0, at, at + 1),
           .gamma = gains_[e],
           .c_S = c_ES_.select(0, at),
           .slot = static_cast<std::int64_t>(i)});
    }
  }
}

void SpectralReparam::finish_gradients(const SumOverRanks& sum) {
  if (!connected_) {
    connect_gradients();
  }
  if (sum) {
    c_ES_.fill(0.0);  // what the last step's sum left where this process has no piece
  }
  ops::sigma_products(pieces_);
  if (sum) {
    sum(c_ES_);
  }
  ops::sigma_apply(pieces_, grad_through_sigma_);
  ops::sigma_gain_gradients(dgammas_, sigma_, c_ES_);
}

std::vector<ReparamReading> SpectralReparam::readings() const {
  const Tensor sigmas = sigma_.to(kCpu).to(Dtype::kF64);
  const Tensor gammas = gamma_.to(kCpu).to(Dtype::kF64);
  std::vector<ReparamReading> readings;
  for (std::size_t e = 0; e < matrices().size(); ++e) {
    const ReparamMatrix& matrix = matrices()[e];
    readings.push_back({.path = matrix.path,
                        .layer = matrix.layer,
                        .part = matrix.part,
                        .gamma = gammas.span<double>()[e],
                        .sigma = sigmas.span<double>()[e]});
  }
  return readings;
}

std::int64_t SpectralReparam::bytes() const {
  std::uint64_t bytes = 0;
  for (const Tensor* buffer : {&u_, &v_, &sigma_, &gamma_, &alpha_}) {
    bytes += buffer->defined() ? buffer->bytes() : 0;
  }
  return narrow<std::int64_t>(bytes);
}

Tensor SpectralReparam::plain(std::size_t matrix, SigmaFold fold) const {
  const Tensor gamma =
      gains_[matrix] ? gains_[matrix] : Tensor::full({1}, 1.0, weights_[matrix].dtype());
  return fold_sigma(weights_[matrix], gamma, u_of(matrix, u_), fold, names_[matrix]);
}

}  // namespace clausius
