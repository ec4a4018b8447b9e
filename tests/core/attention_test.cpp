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
#include "tests/core/attention_checks.h"
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
    const double limit =
        test::tolerance(dtype, reduction, 3) + 4 * 0x1p-24 * test::largest_logit(in);
    const PoisonFreshMemory poison;
    const auto check = [&](const std::string& how) {
      const std::string what = concat(row.name, " ", dtype, " ", how);
      const AttentionResult got = in.forward();
      test::expect_results_close(got, want, limit, what);
      test::expect_entropy_bound(in, got.entropy_BHT, want.entropy_BHT);
      test::expect_gradients_close(in.backward(got), want_gradients, limit, what);
    };
    test::for_each_simd_target([&](std::string_view target) { check(std::string(target)); });
    const PortableProducts portable;
    check("portable products");
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
      test::expect_same_bits(result, one, concat(dtype, " with ", count, " threads"));
      test::expect_same_bits(in.backward(result), one_gradients,
                             concat(dtype, " with ", count, " threads"));
    }
    set_num_threads(1);
  }
}

TEST_P(Attention, StridesChangeNoBit) {
  for (const Dtype dtype : {Dtype::kF64, Dtype::kF32, Dtype::kBf16}) {
    const AttentionInputs in = test::make_inputs(GetParam()).to(dtype);
    AttentionInputs strided = in;
    for (Tensor* tensor : {&strided.q, &strided.k, &strided.v, &strided.dy}) {
      const Tensor dense = *tensor;
      *tensor = test::strided_like(dense);
      tensor->copy_from(dense);
    }
    const AttentionResult result = in.forward();
    test::expect_same_bits(strided.forward(), result, concat(dtype, " strided"));
    const AttentionGradients into{
        test::strided_like(in.q), test::strided_like(in.k), test::strided_like(in.v), {}, {}};
    const AttentionGradients gradients = strided.backward(result, into);
    EXPECT_TRUE(gradients.dq_BHTD.shares_storage_with(into.dq_BHTD));
    test::expect_same_bits(gradients, in.backward(result), concat(dtype, " strided"));
  }
}

INSTANTIATE_TEST_SUITE_P(Cases,
                         Attention,
                         testing::ValuesIn(all_cases()),
                         [](const auto& row_info) { return row_info.param.name; });

// ---- entropy where it is hard ----

class AttentionEntropy : public testing::TestWithParam<test::NamedLogits> {};

TEST_P(AttentionEntropy, StaysWithinItsBound) {
  const AttentionInputs in = test::inputs_with_logits(GetParam().second).to(Dtype::kF32);
  test::expect_entropy_bound(in, in.forward().entropy_BHT,
                             in.to(Dtype::kF64).forward().entropy_BHT);
}

INSTANTIATE_TEST_SUITE_P(Rows,
                         AttentionEntropy,
                         testing::ValuesIn(test::hard_logits()),
                         [](const auto& row_info) { return row_info.param.first; });

TEST(AttentionEntropy, IsExactWhereItCanBe) {
  const AttentionResult uniform =
      test::inputs_with_logits(std::vector<double>(1024, 0.0)).to(Dtype::kF32).forward();
  const AttentionResult single = test::inputs_with_logits({7.0}).to(Dtype::kF32).forward();
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
  test::expect_same_bits(in.forward(), plain, "infinite cap");
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
      test::expect_same_bits(dirty.forward(), clean, "NaN past the last key");
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
