// SPDX-License-Identifier: Apache-2.0
// Lanes on every instruction set of this machine: errors of the elementary functions in ulp, the edges, bf16 rounding.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/core/simd_math_test.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/simd/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::simd::HWY_NAMESPACE {

#define CLS_TEST_FUNCTION(name)                                                \
  void run_##name(const float* x, float* y, std::int64_t n) {                  \
    for_lanes(n, [x, y](auto part, std::int64_t i)                             \
                     HWY_ATTR { part.store(name(part.load(x + i)), y + i); }); \
  }
CLS_TEST_FUNCTION(exp)
CLS_TEST_FUNCTION(expm1)
CLS_TEST_FUNCTION(log)
CLS_TEST_FUNCTION(log1p)
CLS_TEST_FUNCTION(tanh)
CLS_TEST_FUNCTION(sigmoid)
CLS_TEST_FUNCTION(softplus)
CLS_TEST_FUNCTION(rsqrt)
CLS_TEST_FUNCTION(normal_cdf)
CLS_TEST_FUNCTION(erf)
#undef CLS_TEST_FUNCTION

void run_to_bf16(const float* x, bf16* y, std::int64_t n) {
  for_lanes(n, [x, y](auto part, std::int64_t i) HWY_ATTR { part.store(part.load(x + i), y + i); });
}

void run_from_bf16(const bf16* x, float* y, std::int64_t n) {
  for_lanes(n, [x, y](auto part, std::int64_t i) HWY_ATTR { part.store(part.load(x + i), y + i); });
}

}  // namespace clausius::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

#include <algorithm>
#include <bit>
#include <cmath>
#include <fstream>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/simd/scalar.h"
#include "tests/support/paths.h"
#include "tests/support/simd_targets.h"

namespace clausius::simd {

HWY_EXPORT(run_exp);
HWY_EXPORT(run_expm1);
HWY_EXPORT(run_log);
HWY_EXPORT(run_log1p);
HWY_EXPORT(run_tanh);
HWY_EXPORT(run_sigmoid);
HWY_EXPORT(run_softplus);
HWY_EXPORT(run_rsqrt);
HWY_EXPORT(run_normal_cdf);
HWY_EXPORT(run_erf);
HWY_EXPORT(run_to_bf16);
HWY_EXPORT(run_from_bf16);

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kLargest = std::numeric_limits<float>::max();

using Sweep = void (*)(const float*, float*, std::int64_t);

// The distance between neighbouring floats at |x|; subnormal numbers are evenly spaced.
double ulp_at(double x) {
  const double size = std::max(std::abs(x), static_cast<double>(std::numeric_limits<float>::min()));
  return std::ldexp(1.0, std::ilogb(size) - 23);
}

// Every float of [low, high] in steps of `stride` bit patterns, from both ends of the sign.
std::vector<float> floats_between(float low, float high, std::uint32_t stride) {
  std::vector<float> values;
  for (std::uint64_t bits = 0; bits <= 0xffffffffU; bits += stride) {
    const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    if (value >= low && value <= high) {
      values.push_back(value);
    }
  }
  return values;
}

struct Worst {
  double ulps = 0;
  float at = 0;
};
Worst worst_error(const std::vector<float>& x, Sweep sweep, double (*exact)(double)) {
  std::vector<float> y(x.size());
  sweep(x.data(), y.data(), static_cast<std::int64_t>(x.size()));
  Worst worst;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double want = exact(static_cast<double>(x[i]));
    const double error = std::abs(static_cast<double>(y[i]) - want) / ulp_at(want);
    if (!(error <= worst.ulps)) {
      worst = {error, x[i]};
    }
  }
  return worst;
}

constexpr std::uint32_t kStride = 9973;

// The error that math-inl.h promises for a function: what stands behind "ULP:" on the line above it.
double documented_ulps(const std::string& name) {
  std::ifstream header(test::source_dir() / "core/simd/math-inl.h");
  const std::string promise = "ULP: ";
  std::string line;
  double ulps = -1;
  while (std::getline(header, line)) {
    const std::size_t at = line.find(promise);
    if (at != std::string::npos) {
      ulps = std::stod(line.substr(at + promise.size()));
    } else if (line.find("HWY_INLINE Lane " + name + "(") != std::string::npos) {
      return ulps;
    }
  }
  ADD_FAILURE() << "no function " << name << " in core/simd/math-inl.h";
  return 0;
}

void expect_ulps(const char* name,
                 const std::function<Sweep()>& sweep,
                 double (*exact)(double),
                 float low,
                 float high) {
  const std::vector<float> x = floats_between(low, high, kStride);
  const double limit = documented_ulps(name);
  test::for_each_simd_target([&](std::string_view target) {
    const Worst worst = worst_error(x, sweep(), exact);
    EXPECT_LE(worst.ulps, limit) << name << " on " << target << " at " << worst.at;
    testing::Test::RecordProperty(concat(name, "_", target), std::to_string(worst.ulps));
  });
}

// Ranges end where results stop being finite or not zero.
#define CLS_EXPECT_ULPS(name, low, high, ...)                                                   \
  expect_ulps(                                                                                  \
      #name, [] { return static_cast<Sweep>(&HWY_DYNAMIC_DISPATCH(run_##name)); }, __VA_ARGS__, \
      low, high)

TEST(SimdMath, ErrorsAreWithinTheDocumentedUlps) {
  CLS_EXPECT_ULPS(exp, -103.97F, 88.72283F, [](double x) { return std::exp(x); });
  CLS_EXPECT_ULPS(expm1, -kLargest, 88.72283F, [](double x) { return std::expm1(x); });
  CLS_EXPECT_ULPS(log, 1e-45F, kLargest, [](double x) { return std::log(x); });
  CLS_EXPECT_ULPS(log1p, -0.99999994F, kLargest, [](double x) { return std::log1p(x); });
  CLS_EXPECT_ULPS(tanh, -kLargest, kLargest, [](double x) { return std::tanh(x); });
  CLS_EXPECT_ULPS(sigmoid, -kLargest, kLargest, [](double x) { return simd::sigmoid(x); });
  CLS_EXPECT_ULPS(softplus, -kLargest, kLargest, [](double x) { return simd::softplus(x); });
  CLS_EXPECT_ULPS(rsqrt, 1e-45F, kLargest, [](double x) { return 1.0 / std::sqrt(x); });
  CLS_EXPECT_ULPS(normal_cdf, -kLargest, kLargest, [](double x) { return simd::normal_cdf(x); });
  CLS_EXPECT_ULPS(erf, -kLargest, kLargest, [](double x) { return std::erf(x); });
}

struct Edge {
  Sweep run;
  float x;
  float y;
};

TEST(SimdMath, EdgesAreExact) {
  test::for_each_simd_target([](std::string_view target) {
    const auto run = [](auto f) { return static_cast<Sweep>(f); };
    const Edge edges[] = {
        {run(&HWY_DYNAMIC_DISPATCH(run_exp)), 0, 1},
        {run(&HWY_DYNAMIC_DISPATCH(run_exp)), -kInf, 0},
        {run(&HWY_DYNAMIC_DISPATCH(run_exp)), -kLargest, 0},
        {run(&HWY_DYNAMIC_DISPATCH(run_exp)), -104.0F, 0},
        {run(&HWY_DYNAMIC_DISPATCH(run_exp)), kInf, kInf},
        {run(&HWY_DYNAMIC_DISPATCH(run_exp)), 88.73F, kInf},
        {run(&HWY_DYNAMIC_DISPATCH(run_expm1)), -kInf, -1},
        {run(&HWY_DYNAMIC_DISPATCH(run_expm1)), kInf, kInf},
        {run(&HWY_DYNAMIC_DISPATCH(run_expm1)), 1e-40F, 1e-40F},
        {run(&HWY_DYNAMIC_DISPATCH(run_log)), 0, -kInf},
        {run(&HWY_DYNAMIC_DISPATCH(run_log)), -0.0F, -kInf},
        {run(&HWY_DYNAMIC_DISPATCH(run_log)), 1, 0},
        {run(&HWY_DYNAMIC_DISPATCH(run_log)), -1, kNan},
        {run(&HWY_DYNAMIC_DISPATCH(run_log)), -kInf, kNan},
        {run(&HWY_DYNAMIC_DISPATCH(run_log)), kInf, kInf},
        {run(&HWY_DYNAMIC_DISPATCH(run_log1p)), -1, -kInf},
        {run(&HWY_DYNAMIC_DISPATCH(run_log1p)), -2, kNan},
        {run(&HWY_DYNAMIC_DISPATCH(run_log1p)), 0, 0},
        {run(&HWY_DYNAMIC_DISPATCH(run_log1p)), 1e-40F, 1e-40F},
        {run(&HWY_DYNAMIC_DISPATCH(run_log1p)), kInf, kInf},
        {run(&HWY_DYNAMIC_DISPATCH(run_tanh)), kInf, 1},
        {run(&HWY_DYNAMIC_DISPATCH(run_tanh)), -kInf, -1},
        {run(&HWY_DYNAMIC_DISPATCH(run_tanh)), -1e-40F, -1e-40F},
        {run(&HWY_DYNAMIC_DISPATCH(run_sigmoid)), 0, 0.5F},
        {run(&HWY_DYNAMIC_DISPATCH(run_sigmoid)), kInf, 1},
        {run(&HWY_DYNAMIC_DISPATCH(run_sigmoid)), -kInf, 0},
        {run(&HWY_DYNAMIC_DISPATCH(run_softplus)), kInf, kInf},
        {run(&HWY_DYNAMIC_DISPATCH(run_softplus)), -kInf, 0},
        {run(&HWY_DYNAMIC_DISPATCH(run_rsqrt)), 0, kInf},
        {run(&HWY_DYNAMIC_DISPATCH(run_rsqrt)), kInf, 0},
        {run(&HWY_DYNAMIC_DISPATCH(run_rsqrt)), -1, kNan},
        {run(&HWY_DYNAMIC_DISPATCH(run_normal_cdf)), 0, 0.5F},
        {run(&HWY_DYNAMIC_DISPATCH(run_normal_cdf)), kInf, 1},
        {run(&HWY_DYNAMIC_DISPATCH(run_normal_cdf)), -kInf, 0},
        {run(&HWY_DYNAMIC_DISPATCH(run_normal_cdf)), -kLargest, 0},
        {run(&HWY_DYNAMIC_DISPATCH(run_erf)), 0, 0},
        {run(&HWY_DYNAMIC_DISPATCH(run_erf)), kInf, 1},
        {run(&HWY_DYNAMIC_DISPATCH(run_erf)), -kInf, -1},
    };
    for (const Edge& edge : edges) {
      float y = 0;
      edge.run(&edge.x, &y, 1);
      const bool same = std::isnan(edge.y) ? std::isnan(y) : y == edge.y;
      EXPECT_TRUE(same) << target << ", edge " << (&edge - edges) << ": at " << edge.x
                        << " expected " << edge.y << ", got " << y;
      y = 0;
      edge.run(&kNan, &y, 1);
      EXPECT_TRUE(std::isnan(y)) << target << ", edge " << (&edge - edges) << ": NaN was lost";
    }
  });
}

TEST(SimdMath, Bf16RoundsAsTheScalarTypeDoes) {
  std::vector<float> x = floats_between(-kInf, kInf, 4999);
  x.insert(x.end(), {kNan, -kNan, kInf, -kInf, kLargest, std::bit_cast<float>(0x7f800001U)});
  std::vector<bf16> y(x.size());
  std::vector<float> back(x.size());
  test::for_each_simd_target([&](std::string_view target) {
    HWY_DYNAMIC_DISPATCH(run_to_bf16)(x.data(), y.data(), static_cast<std::int64_t>(x.size()));
    HWY_DYNAMIC_DISPATCH(run_from_bf16)(y.data(), back.data(), static_cast<std::int64_t>(x.size()));
    for (std::size_t i = 0; i < x.size(); ++i) {
      ASSERT_EQ(y[i].bits, bf16(x[i]).bits) << target << " at " << x[i];
      ASSERT_EQ(std::bit_cast<std::uint32_t>(back[i]), static_cast<std::uint32_t>(y[i].bits) << 16)
          << target;
    }
  });
}

}  // namespace
}  // namespace clausius::simd
#endif  // HWY_ONCE
