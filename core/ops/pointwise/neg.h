// SPDX-License-Identifier: Apache-2.0
// y = -x.
struct Neg {
  template <class L>
  static constexpr L forward(L x) {
    return -x;
  }
  template <class L>
  static constexpr L derivative(L /*x*/) {
    return L(-1);
  }
};
CLS_POINTWISE(neg, Neg)
