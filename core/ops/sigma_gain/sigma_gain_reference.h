// SPDX-License-Identifier: Apache-2.0
// The definition of sigma_alphas and sigma_gain_gradients, and what the CPU runs: there is nothing to vectorise in a number a matrix.
#pragma once

#include "core/ops/sigma_gain/sigma_gain.h"

namespace clausius::ops {

template <class T>
void sigma_alphas_reference(std::span<const Tensor> gammas,
                            const Tensor& sigma_E,
                            Tensor& gamma_E,
                            Tensor& alpha_E) {
  for (std::size_t e = 0; e < gammas.size(); ++e) {
    const T gamma = gammas[e] ? *gammas[e].data<T>() : T{1};
    gamma_E.data<T>()[e] = gamma;
    alpha_E.data<T>()[e] =
        static_cast<T>(static_cast<double>(gamma) / static_cast<double>(sigma_E.data<T>()[e]));
  }
}

template <class T>
void sigma_gain_gradients_reference(std::span<const Tensor> dgammas,
                                    const Tensor& sigma_E,
                                    const Tensor& c_ES) {
  for (std::size_t e = 0; e < dgammas.size(); ++e) {
    double c = 0;
    for (std::int64_t s = 0; s < c_ES.size(1); ++s) {
      c += c_ES.data<double>()[static_cast<std::int64_t>(e) * c_ES.size(1) + s];
    }
    if (dgammas[e]) {
      Tensor to = dgammas[e];
      *to.data<T>() = static_cast<T>(c / static_cast<double>(sigma_E.data<T>()[e]));
    }
  }
}

}  // namespace clausius::ops
