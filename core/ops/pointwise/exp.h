// SPDX-License-Identifier: Apache-2.0
// y = e^x.
struct Exp {
  template <class L>
  static constexpr L forward(L x) {
    return exp(x);
  }
  template <class L>
  static constexpr L derivative(L x) {
    return exp(x);
  }
};
CLS_POINTWISE(exp, Exp)
