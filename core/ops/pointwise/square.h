// SPDX-License-Identifier: Apache-2.0
// y = x^2.
struct Square {
  template <class L>
  static constexpr L forward(L x) {
    return x * x;
  }
  template <class L>
  static constexpr L derivative(L x) {
    return x + x;
  }
};
CLS_POINTWISE(square, Square)
