// SPDX-License-Identifier: Apache-2.0
// y = |x|; the derivative at 0 is 0.
struct Abs {
  template <class L>
  static constexpr L forward(L x) {
    return abs(x);
  }
  template <class L>
  static constexpr L derivative(L x) {
    return select(x < L(0), L(-1), select(x > L(0), L(1), L(0) * x));
  }
};
CLS_POINTWISE(abs, Abs)
