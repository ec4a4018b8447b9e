// SPDX-License-Identifier: Apache-2.0
// y = x sigmoid(x), also called swish.
struct Silu {
  // Beyond +-1000 nothing changes, and infinities would meet zeros.
  template <class L>
  static constexpr L forward(L x) {
    return max(x, L(-1000)) * sigmoid(x);
  }
  template <class L>
  static constexpr L derivative(L unbounded) {
    const L p = sigmoid(unbounded);
    const L x = max(min(unbounded, L(1000)), L(-1000));
    return mul_add(x * p, L(1) - p, p);
  }
};
CLS_POINTWISE(silu, Silu)
