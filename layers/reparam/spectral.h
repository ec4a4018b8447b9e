// SPDX-License-Identifier: Apache-2.0
// What the kinds that divide by the spectral norm share: the vectors of a power iteration, kept over steps.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/linear_algebra/leading_singular.h"
#include "core/ops/sigma_gradient/sigma_gradient.h"
#include "layers/reparam/reparam.h"

namespace clausius {

enum class VectorInit { kLanczos, kSvd, kRandom };
constexpr auto words_of(VectorInit /*unused*/) {
  return words("lanczos", "svd", "random");
}

struct SpectralKnobs : ReparamKnobs {
  std::int64_t power_iterations = 1;
  std::int64_t refresh_every = 1;
  VectorInit vector_init = VectorInit::kLanczos;

  void visit(ConfigVisitor& v) {
    ReparamKnobs::visit(v);
    v.field("power_iterations", power_iterations, "a refresh, each one reading of the weights",
            at_least(1));
    v.field("refresh_every", refresh_every,
            "steps between refreshes of the vectors; the norm along them is taken every step",
            at_least(1));
    v.field("vector_init", vector_init,
            "how the vectors start; random ones need tens of steps to converge");
  }
};

/// W_hat = gamma / sigma W, sigma = v^T W u, with u and v of one power iteration a step; alpha = gamma / sigma is a factor of the
/// products, and W_hat is never made. A missing gain is gamma = 1.
/// State:   u of each matrix, PATH.u, in checkpoints; v and sigma follow from it.
/// Value:   evaluation refines u by one more iteration and does not keep it: what the next training step begins with.
/// Cost:    a step reads each weight twice (refresh, <G, W>) and writes its gradient once; a device is waited for once.
class SpectralReparam : public Reparam {
 public:
  SpectralReparam(const SpectralKnobs& knobs,
                  bool grad_through_sigma,
                  ParameterStore& store,
                  std::uint64_t seed);

  void begin_step(std::int64_t step) override;
  void begin_evaluation() override;
  void finish_gradients(const SumOverRanks& sum) override;
  [[nodiscard]] std::vector<ReparamReading> readings() const override;
  [[nodiscard]] std::int64_t bytes() const override;

 protected:
  void allocate() override;
  void initialize() override;
  [[nodiscard]] Tensor plain(std::size_t matrix, SigmaFold fold) const override;
  /// The largest singular value of the weights, for gains that start at it.
  [[nodiscard]] double exact_norm(std::size_t matrix) const;

 private:
  [[nodiscard]] Tensor u_of(std::size_t matrix, const Tensor& u) const;
  /// A vector of norm 0 where it does not know the norm.
  [[nodiscard]] LeadingSingular first_vector(std::size_t matrix) const;
  [[nodiscard]] RandomStream stream_for(std::size_t matrix) const;
  /// From norms to factors. Vectors in a null space are sought anew, once.
  void settle(Tensor& u);
  void connect_gradients();

  SpectralKnobs knobs_;
  bool grad_through_sigma_;
  std::vector<Tensor> weights_;
  std::vector<Tensor> gains_;
  std::vector<std::string> names_;
  std::vector<double> exact_norms_;  // where the start found them
  std::vector<std::int64_t> u_at_;
  std::vector<std::int64_t> v_at_;
  Tensor u_;
  Tensor v_;
  Tensor sigma_;
  Tensor gamma_;
  Tensor alpha_;
  Tensor c_ES_;  // <G, W> of each matrix, in the parts that this process owns
  std::vector<ops::SigmaMatrix> pieces_;
  std::vector<Tensor> dgammas_;
  bool connected_ = false;
};

}  // namespace clausius
