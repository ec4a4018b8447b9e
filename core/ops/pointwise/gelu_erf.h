// SPDX-License-Identifier: Apache-2.0
// y = x (1 + erf(x / sqrt 2)) / 2, the exact Gaussian error linear unit.
struct GeluErf {
  // Beyond +-1000 nothing changes, and infinities would meet zeros.
  template <class L>
  static constexpr L forward(L x) {
    return max(x, L(-1000)) * normal_cdf(x);
  }
  template <class L>
  static constexpr L derivative(L unbounded) {
    const L x = max(min(unbounded, L(1000)), L(-1000));
    const L density = L(0.3989422804014327) * exp(L(-0.5) * x * x);
    return mul_add(x, density, normal_cdf(x));
  }
};
CLS_POINTWISE(gelu_erf, GeluErf)
