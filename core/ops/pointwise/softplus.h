// SPDX-License-Identifier: Apache-2.0
// y = ln(1 + e^x).
struct Softplus {
  template <class L>
  static constexpr L forward(L x) {
    return softplus(x);
  }
  template <class L>
  static constexpr L derivative(L x) {
    return sigmoid(x);
  }
};
CLS_POINTWISE(softplus, Softplus)
