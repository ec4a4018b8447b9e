// SPDX-License-Identifier: Apache-2.0
// y = max(x, 0); the derivative at 0 is 0.
struct Relu {
  template <class L>
  static constexpr L forward(L x) {
    return max(x, L(0));
  }
  template <class L>
  static constexpr L derivative(L x) {
    return select(x > L(0), L(1), L(0));
  }
};
CLS_POINTWISE(relu, Relu)
