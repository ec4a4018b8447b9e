// SPDX-License-Identifier: Apache-2.0
// y = 1 / (1 + e^-x).
struct Sigmoid {
  template <class L>
  static constexpr L forward(L x) {
    return sigmoid(x);
  }
  // p (1 - p) with 1 - p = sigmoid(-x), taken at -|x| so that neither factor cancels.
  template <class L>
  static constexpr L derivative(L x) {
    const L p = sigmoid(-abs(x));
    return p * (L(1) - p);
  }
};
CLS_POINTWISE(sigmoid, Sigmoid)
