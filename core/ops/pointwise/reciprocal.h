// SPDX-License-Identifier: Apache-2.0
// y = 1 / x.
struct Reciprocal {
  template <class L>
  static constexpr L forward(L x) {
    return L(1) / x;
  }
  template <class L>
  static constexpr L derivative(L x) {
    const L y = L(1) / x;
    return -(y * y);
  }
};
CLS_POINTWISE(reciprocal, Reciprocal)
