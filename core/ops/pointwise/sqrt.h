// SPDX-License-Identifier: Apache-2.0
// y = the square root of x; NaN below 0.
struct Sqrt {
  template <class L>
  static constexpr L forward(L x) {
    return sqrt(x);
  }
  template <class L>
  static constexpr L derivative(L x) {
    return L(0.5) / sqrt(x);
  }
};
CLS_POINTWISE(sqrt, Sqrt)
