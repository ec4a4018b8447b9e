// SPDX-License-Identifier: Apache-2.0
// The fast attention kernels against the double reference: every option, every instruction set, and what must not change a bit.
#include "core/ops/attention/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "core/allocator.h"
#include "core/ops/attention/attention_cpu.h"
#include "core/parallel.h"
#include "tests/core/attention_cases.h"
#include "tests/support/op_case.h"
#include "tests/support/simd_targets.h"

namespace clausius {
namespace {

using ops::AttentionGradients;
using ops::AttentionResult;
using test::AttentionCase;
using test::AttentionInputs;
using test::expect_bits_equal;
using test::expect_close;

std::vector<AttentionCase> all_cases() {
  std::vector<AttentionCase> rows = test::small_attention_cases();
  for (const auto& more : {test::tiled_attention_cases(), test::masked_attention_cases(),
                           test::optional_attention_cases()}) {
    rows.insert(rows.end(), more.begin(), more.end());
  }
  return rows;
}

double largest_row_norm(const Tensor& x) {
  const Tensor dense = x.to(Dtype::kF64).contiguous();
  const std::int64_t width = dense.size(-1);
  double largest = 0;
  for (std::int64_t row = 0; row < dense.numel() / width; ++row) {
    double squares = 0;
    for (std::int64_t d = 0; d < width; ++d) {
      const double value = dense.span<double>()[static_cast<std::size_t>(row * width + d)];
      squares += value * value;
    }
    largest = std::max(largest, squares);
  }
  return std::sqrt(largest);
}

// A bound on |s|, whose rounding is an absolute error of the logits and so a relative one of the probabilities.
double largest_logit(const AttentionInputs& in) {
  double scale = 1;
  if (in.scale.defined()) {
    scale = 0;
    const Tensor scales = in.scale.to(Dtype::kF64).contiguous();
    for (const double value : scales.span<double>()) {
      scale = std::max(scale, std::abs(value));
    }
  }
  return scale * largest_row_norm(in.q) * largest_row_norm(in.k) /
         std::sqrt(static_cast<double>(in.q.size(3)));
}

void expect_results_close(const AttentionResult& got,
                          const AttentionResult& want,
                          double limit,
                          const std::string& what) {
  expect_close(got.y_BTHE, want.y_BTHE, limit, what + " y");
  // The statistics are f32 in every type.
  expect_close(got.lse_BHT, want.lse_BHT, std::min(limit, 1e-5), what + " lse");
  expect_close(got.max_logit_BH, want.max_logit_BH, 1e-6, what + " max_logit");
}

void expect_gradients_close(const AttentionGradients& got,
                            const AttentionGradients& want,
                            double limit,
                            const std::string& what) {
  expect_close(got.dq_BHTD, want.dq_BHTD, limit, what + " dq");
  expect_close(got.dk_BGSD, want.dk_BGSD, limit, what + " dk");
  expect_close(got.dv_BGSE, want.dv_BGSE, limit, what + " dv");
  ASSERT_EQ(got.dscale.defined(), want.dscale.defined());
  ASSERT_EQ(got.dsink.defined(), want.dsink.defined());
  if (want.dscale.defined()) {
    expect_close(got.dscale, want.dscale, limit, what + " dscale");
  }
  if (want.dsink.defined()) {
    expect_close(got.dsink, want.dsink, limit, what + " dsink");
  }
}

// |H - H64| <= 1e-5 H + 1e-6 + 8 2^-24 max|s| (1 + ln n), and 0 <= H <= ln n.
void expect_entropy_bound(const AttentionInputs& in,
                          const Tensor& entropy_BHT,
                          const Tensor& exact_BHT) {
  const double logit = largest_logit(in);
  const Tensor counts =
      ops::attention_visible_counts(in.options.mask, in.q.size(0), in.q.size(2), in.k.size(2));
  for (std::int64_t b = 0; b < in.q.size(0); ++b) {
    for (std::int64_t h = 0; h < in.q.size(1); ++h) {
      for (std::int64_t i = 0; i < in.q.size(2); ++i) {
        const std::int64_t choices =
            View<const std::int32_t, 2>(counts)(b, i) + (in.sink.defined() ? 1 : 0);
        const double most = choices > 0 ? std::log(static_cast<double>(choices)) : 0.0;
        const double exact = View<const double, 3>(exact_BHT)(b, h, i);
        const double got = View<const float, 3>(entropy_BHT)(b, h, i);
        ASSERT_NEAR(got, exact, 1e-5 * exact + 1e-6 + 8 * 0x1p-24 * logit * (1 + most))
            << "(" << b << ", " << h << ", " << i << ")";
        ASSERT_GE(got, 0.0);
        ASSERT_LE(got, most * (1 + 0x1p-22));
      }
    }
  }
}

template <bool kJit, class... Arguments>
void forward_with(Arguments... arguments) {
  ops::detail::attention_forward_cpu({.jit = kJit}, arguments...);
}
template <bool kJit, class... Arguments>
void backward_with(Arguments... arguments) {
  ops::detail::attention_backward_cpu({.jit = kJit}, arguments...);
}

// While one lives, the kernels multiply without libxsmm.
class PortableProducts {
 public:
  PortableProducts() { install<false>(); }
  ~PortableProducts() { install<true>(); }

 private:
  template <bool kJit>
  static void install() {
    for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
      ops::attention_forward_kernels().add(DeviceKind::kCpu, dtype, forward_with<kJit>);
      ops::attention_backward_kernels().add(DeviceKind::kCpu, dtype, backward_with<kJit>);
    }
  }
};

class Attention : public testing::TestWithParam<AttentionCase> {
  const test::OneThread one_thread_;
};

TEST_P(Attention, EqualsReference) {
  const AttentionCase& row = GetParam();
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
    const AttentionInputs in = test::make_inputs(row).to(dtype);
    const AttentionInputs exact = in.to(Dtype::kF64);
    const AttentionResult want = exact.forward();
    const AttentionGradients want_gradients = exact.backward(want);
    // Two roundings to bf16 on the way (p and y; p or ds and the gradient), and <dy, y> takes a rounded y.
    const std::int64_t reduction =
        std::max({row.S, row.T * (row.G > 0 ? row.H / row.G : 1), row.D, row.E});
    const double limit = test::tolerance(dtype, reduction, 3) + 4 * 0x1p-24 * largest_logit(in);
    const PoisonFreshMemory poison;
    const auto check = [&](const std::string& how) {
      const std::string what = concat(row.name, " ", dtype, " ", how);
      const AttentionResult got = in.forward();
      expect_results_close(got, want, limit, what);
      expect_entropy_bound(in, got.entropy_BHT, want.entropy_BHT);
      expect_gradients_close(in.backward(got), want_gradients, limit, what);
    };
    test::for_each_simd_target([&](std::string_view target) { check(std::string(target)); });
    const PortableProducts portable;
    check("portable products");
  }
}

void expect_same_bits(const AttentionResult& a, const AttentionResult& b, const std::string& what) {
  expect_bits_equal(a.y_BTHE, b.y_BTHE, what + " y");
  expect_bits_equal(a.entropy_BHT, b.entropy_BHT, what + " entropy");
  expect_bits_equal(a.lse_BHT, b.lse_BHT, what + " lse");
  expect_bits_equal(a.max_logit_BH, b.max_logit_BH, what + " max_logit");
}

void expect_same_bits(const AttentionGradients& a,
                      const AttentionGradients& b,
                      const std::string& what) {
  expect_bits_equal(a.dq_BHTD, b.dq_BHTD, what + " dq");
  expect_bits_equal(a.dk_BGSD, b.dk_BGSD, what + " dk");
  expect_bits_equal(a.dv_BGSE, b.dv_BGSE, what + " dv");
  if (a.dscale.defined()) {
    expect_bits_equal(a.dscale, b.dscale, what + " dscale");
  }
  if (a.dsink.defined()) {
    expect_bits_equal(a.dsink, b.dsink, what + " dsink");
  }
}

TEST_P(Attention, ThreadsAndRunsChangeNoBit) {
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
    const AttentionInputs in = test::make_inputs(GetParam()).to(dtype);
    const AttentionResult one = in.forward();
    const AttentionGradients one_gradients = in.backward(one);
    for (const int count : {1, 2}) {
      set_num_threads(count);
      const AttentionResult result = in.forward();
      expect_same_bits(result, one, concat(dtype, " with ", count, " threads"));
      expect_same_bits(in.backward(result), one_gradients,
                       concat(dtype, " with ", count, " threads"));
    }
    set_num_threads(1);
  }
}

// [B, heads, T, width] as part of a wider buffer in [B, T, heads, width] order.
Tensor strided_like(const Tensor& x) {
  Tensor wide = Tensor::full({x.size(0), x.size(2), x.size(1) + 3, x.size(3) + 5}, 7.0, x.dtype());
  return wide.slice(2, 1, 1 + x.size(1)).slice(3, 2, 2 + x.size(3)).transpose(1, 2);
}

TEST_P(Attention, StridesChangeNoBit) {
  for (const Dtype dtype : {Dtype::kF64, Dtype::kF32, Dtype::kBf16}) {
    const AttentionInputs in = test::make_inputs(GetParam()).to(dtype);
    AttentionInputs strided = in;
    for (Tensor* tensor : {&strided.q, &strided.k, &strided.v, &strided.dy}) {
      const Tensor dense = *tensor;
      *tensor = strided_like(dense);
      tensor->copy_from(dense);
    }
    const AttentionResult result = in.forward();
    expect_same_bits(strided.forward(), result, concat(dtype, " strided"));
    const AttentionGradients into{
        strided_like(in.q), strided_like(in.k), strided_like(in.v), {}, {}};
    const AttentionGradients gradients = strided.backward(result, into);
    EXPECT_TRUE(gradients.dq_BHTD.shares_storage_with(into.dq_BHTD));
    expect_same_bits(gradients, in.backward(result), concat(dtype, " strided"));
  }
}

INSTANTIATE_TEST_SUITE_P(Cases,
                         Attention,
                         testing::ValuesIn(all_cases()),
                         [](const auto& row_info) { return row_info.param.name; });

// ---- entropy where it is hard ----

// One head of n keys whose scores are `logits` for every query.
AttentionInputs with_logits(const std::vector<double>& logits) {
  const auto n = static_cast<std::int64_t>(logits.size());
  AttentionInputs in = test::make_inputs(
      {.B = 1, .H = 1, .G = 1, .T = 70, .S = n, .D = 16, .E = 16, .causal = false});
  in.q.fill(0);
  in.k.fill(0);
  const View<double, 4> q(in.q), k(in.k);
  for (std::int64_t i = 0; i < 70; ++i) {
    q(0, 0, i, 0) = 1;
  }
  for (std::int64_t j = 0; j < n; ++j) {
    k(0, 0, j, 0) = logits[static_cast<std::size_t>(j)];
  }
  in.options.scale = 1.0;
  return in;
}

class AttentionEntropy
    : public testing::TestWithParam<std::pair<const char*, std::vector<double>>> {};

TEST_P(AttentionEntropy, StaysWithinItsBound) {
  const AttentionInputs in = with_logits(GetParam().second).to(Dtype::kF32);
  expect_entropy_bound(in, in.forward().entropy_BHT, in.to(Dtype::kF64).forward().entropy_BHT);
}

std::vector<double> one_hot(std::int64_t n, double gap, double base) {
  std::vector<double> logits(static_cast<std::size_t>(n), base);
  logits[static_cast<std::size_t>(n / 3)] += gap;
  return logits;
}
std::vector<double> ramp(std::int64_t n, double step, double base) {
  std::vector<double> logits;
  for (std::int64_t j = 0; j < n; ++j) {
    logits.push_back(base + step * static_cast<double>(j));
  }
  return logits;
}

INSTANTIATE_TEST_SUITE_P(
    Rows,
    AttentionEntropy,
    testing::Values(std::pair("uniform", std::vector<double>(1000, 0.0)),
                    std::pair("uniform_at_1000", std::vector<double>(1000, 1000.0)),
                    std::pair("uniform_at_minus_1000", std::vector<double>(333, -1000.0)),
                    std::pair("one_hot_gap_20", one_hot(1000, 20, 0)),
                    std::pair("one_hot_gap_20_at_1000", one_hot(1000, 20, 1000)),
                    std::pair("one_hot_gap_90", one_hot(64, 90, 0)),
                    std::pair("one_hot_gap_1000", one_hot(64, 1000, -500)),
                    std::pair("rising", ramp(1000, 0.01, 0)),
                    std::pair("rising_at_1000", ramp(1000, 0.01, 1000)),
                    std::pair("rising_fast", ramp(300, 3, 0)),
                    std::pair("falling_fast", ramp(300, -3, 0)),
                    std::pair("one_key", std::vector<double>{1000.0})),
    [](const auto& row_info) { return std::string(row_info.param.first); });

TEST(AttentionEntropy, IsExactWhereItCanBe) {
  const AttentionResult uniform =
      with_logits(std::vector<double>(1024, 0.0)).to(Dtype::kF32).forward();
  const AttentionResult single = with_logits({7.0}).to(Dtype::kF32).forward();
  for (std::int64_t i = 0; i < 70; ++i) {
    EXPECT_FLOAT_EQ((View<const float, 3>(uniform.entropy_BHT)(0, 0, i)), std::log(1024.0F));
    EXPECT_EQ((View<const float, 3>(single.entropy_BHT)(0, 0, i)), 0.0F);
  }
}

// ---- options at their limits ----

TEST(AttentionOptions, AnInfiniteCapIsNoCapAndAHugeOneNearlySo) {
  AttentionInputs in = test::make_inputs({.T = 70, .S = 70, .D = 16, .E = 16}).to(Dtype::kF32);
  const AttentionResult plain = in.forward();
  in.options.logit_softcap = std::numeric_limits<double>::infinity();
  expect_same_bits(in.forward(), plain, "infinite cap");
  in.options.logit_softcap = 1e4;
  expect_close(in.forward().y_BTHE, plain.y_BTHE, 1e-5, "cap 1e4");
}

TEST(AttentionOptions, ASinkFarBelowIsNoSink) {
  AttentionInputs in = test::make_inputs({.T = 70, .S = 70, .D = 16, .E = 16}).to(Dtype::kF32);
  const AttentionResult plain = in.forward();
  in.sink = Tensor::full({2}, -1e4, Dtype::kF32);
  const AttentionResult with = in.forward();
  expect_close(with.y_BTHE, plain.y_BTHE, 1e-6, "sink y");
  expect_close(with.entropy_BHT, plain.entropy_BHT, 1e-6, "sink entropy");
  const AttentionGradients gradients = in.backward(with);
  EXPECT_EQ(gradients.dsink.span<float>()[0], 0.0F);
}

TEST(AttentionOptions, NanInAKeyReachesEveryRowThatSeesIt) {
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
    AttentionInputs in =
        test::make_inputs({.B = 1, .H = 1, .G = 1, .T = 70, .S = 70, .D = 16, .E = 16});
    View<double, 4>(in.k)(0, 0, 20, 3) = std::numeric_limits<double>::quiet_NaN();
    in = in.to(dtype);
    const AttentionResult result = in.forward();
    const Tensor y = result.y_BTHE.to(Dtype::kF64);
    for (std::int64_t i = 20; i < 70; ++i) {
      EXPECT_TRUE(std::isnan(View<const double, 4>(y)(0, i, 0, 0))) << i;
      EXPECT_TRUE(std::isnan(View<const float, 3>(result.lse_BHT)(0, 0, i))) << i;
    }
    const Tensor dq = in.backward(result).dq_BHTD.to(Dtype::kF64);
    EXPECT_TRUE(std::isnan(View<const double, 4>(dq)(0, 0, 69, 0)));
  }
}

TEST(AttentionOptions, KeysThatDoNotExistAreNotRead) {
  for (const std::int64_t T : {std::int64_t{1}, std::int64_t{70}}) {
    for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
      AttentionInputs in = test::make_inputs(
          {.B = 1, .T = T, .S = 90, .D = 16, .E = 16, .causal = false, .key_lengths = {37}});
      const AttentionResult clean = in.to(dtype).forward();
      for (Tensor* tensor : {&in.k, &in.v}) {
        tensor->slice(2, 37, 90).fill(std::numeric_limits<double>::quiet_NaN());
      }
      const AttentionInputs dirty = in.to(dtype);
      expect_same_bits(dirty.forward(), clean, "NaN past the last key");
      const AttentionGradients gradients = dirty.backward(clean);
      EXPECT_EQ(gradients.dk_BGSD.slice(2, 37, 90).to(Dtype::kF64).contiguous().span<double>()[0],
                0.0);
      EXPECT_FALSE(std::isnan(gradients.dq_BHTD.to(Dtype::kF64).contiguous().span<double>()[0]));
    }
  }
}

TEST(AttentionOptions, DropoutFollowsTheSampleNotThePlace) {
  AttentionInputs in =
      test::make_inputs({.B = 2, .T = 70, .S = 70, .D = 16, .E = 16, .dropout = 0.3})
          .to(Dtype::kF32);
  const AttentionResult both = in.forward();
  AttentionInputs second = in;
  for (Tensor* tensor : {&second.q, &second.k, &second.v}) {
    *tensor = tensor->slice(0, 1, 2);
  }
  second.options.dropout_samples = in.options.dropout_samples.slice(0, 1, 2);
  expect_bits_equal(second.forward().y_BTHE, both.y_BTHE.slice(0, 1, 2), "sample 41 alone");
}

TEST(AttentionMemory, GrowsWithTheLengthNotItsSquare) {
  // How many units are under way at once is a matter of luck with more threads.
  const test::OneThread one_thread;
  const auto peak = [](std::int64_t T) {
    const AttentionInputs in =
        test::make_inputs({.B = 1, .H = 1, .G = 1, .T = T, .S = T, .D = 16, .E = 16})
            .to(Dtype::kF32);
    Allocator& memory = allocator(kCpu);
    memory.reset_peak();
    const std::size_t before = memory.stats().used_bytes;
    const AttentionResult result = in.forward();
    (void)in.backward(result);
    return memory.stats().peak_bytes - before;
  };
  EXPECT_LT(static_cast<double>(peak(2048)), 2.2 * static_cast<double>(peak(1024)));
}

}  // namespace
}  // namespace clausius
