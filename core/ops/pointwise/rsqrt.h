// SPDX-License-Identifier: Apache-2.0
// y = 1 / sqrt x; +inf at 0, NaN below.
struct Rsqrt {
  template <class L>
  static constexpr L forward(L x) {
    return rsqrt(x);
  }
  template <class L>
  static constexpr L derivative(L x) {
    return L(-0.5) * rsqrt(x) / x;
  }
};
CLS_POINTWISE(rsqrt, Rsqrt)
