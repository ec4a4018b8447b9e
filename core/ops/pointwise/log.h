// SPDX-License-Identifier: Apache-2.0
// y = ln x; -inf at 0, NaN below.
struct Log {
  template <class L>
  static constexpr L forward(L x) {
    return log(x);
  }
  template <class L>
  static constexpr L derivative(L x) {
    return L(1) / x;
  }
};
CLS_POINTWISE(log, Log)
