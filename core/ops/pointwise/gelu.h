// SPDX-License-Identifier: Apache-2.0
// y = x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, the tanh form of Hendrycks and Gimpel 2016.
struct Gelu {
  // (1 + tanh u) / 2 = sigmoid(2 u): one exponential, and no cancellation where tanh u is near -1.
  template <class L>
  static constexpr L twice_inner(L x) {
    return x * mul_add(x * x, L(0.071354816272600249), L(1.5957691216057308));
  }
  // Beyond +-1000 nothing changes, and infinities would meet zeros.
  template <class L>
  static constexpr L forward(L x) {
    return max(x, L(-1000)) * sigmoid(twice_inner(x));
  }
  template <class L>
  static constexpr L derivative(L unbounded) {
    const L p = sigmoid(twice_inner(unbounded));
    const L x = max(min(unbounded, L(1000)), L(-1000));
    const L slope = mul_add(x * x, L(0.21406444881780074), L(1.5957691216057308));
    return mul_add(x * slope, p * (L(1) - p), p);
  }
};
CLS_POINTWISE(gelu, Gelu)
