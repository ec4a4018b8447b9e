// SPDX-License-Identifier: Apache-2.0
// attention_probe on every option, instruction set and device, against the f64 definition; and what it says of rows known by hand.
#include "core/ops/attention/attention_probe.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "core/allocator.h"
#include "core/error.h"
#include "tests/core/attention_cases.h"
#include "tests/core/attention_checks.h"
#include "tests/support/cuda_test.h"
#include "tests/support/op_case.h"
#include "tests/support/simd_targets.h"

namespace clausius {
namespace {

using ops::AttentionProbe;
using test::AttentionCase;
using test::AttentionInputs;

std::vector<AttentionCase> all_cases() {
  std::vector<AttentionCase> rows = test::small_attention_cases();
  for (const auto& more : {test::tiled_attention_cases(), test::masked_attention_cases(),
                           test::optional_attention_cases()}) {
    rows.insert(rows.end(), more.begin(), more.end());
  }
  return rows;
}

AttentionProbe probe(const AttentionInputs& in, const Tensor& lse, bool spread = true) {
  return ops::attention_probe(in.q, in.k, in.scale, in.sink, lse, in.options, spread);
}

// `lse` of the exact forward, rounded: what is left is the error of the probe.
AttentionProbe probe_on(Device device, const AttentionInputs& in, const Tensor& lse) {
  AttentionInputs there = in;
  for (Tensor* tensor : {&there.q, &there.k, &there.scale, &there.sink}) {
    *tensor = tensor->defined() ? tensor->to(device) : *tensor;
  }
  const PoisonFreshMemory poison;
  const auto run = [&](bool spread) {
    const AttentionProbe result = probe(there, lse.to(device), spread);
    return AttentionProbe{.spread_BHT = spread ? result.spread_BHT.to(kCpu) : Tensor(),
                          .first_BHT = result.first_BHT.to(kCpu)};
  };
  const AttentionProbe got = run(true);
  test::expect_bits_equal(run(true).spread_BHT, got.spread_BHT, "again");
  test::expect_bits_equal(run(false).first_BHT, got.first_BHT, "alone");
  return got;
}

// A logit s carries (D + 4) roundings of its magnitude. Sums of n terms around the uniform row's logit, which is at most a spread away
// from their mean: squares of at most (1 + n) spread^2, n roundings of it, halved by the root.
void expect_probe_close(const AttentionCase& row,
                        Dtype dtype,
                        const AttentionProbe& got,
                        const AttentionProbe& want,
                        double largest_logit) {
  constexpr double kUnit = 0x1p-24;
  const auto n = static_cast<double>(row.S + 1);
  const double logit_error = (static_cast<double>(row.D) + 4) * kUnit * largest_logit;
  for (std::int64_t i = 0; i < want.first_BHT.numel(); ++i) {
    const double spread = want.spread_BHT.data<double>()[i];
    const double got_spread = got.spread_BHT.data<float>()[i];
    EXPECT_GE(got_spread, 0.0);
    ASSERT_NEAR(got_spread, spread,
                2 * n * (n + 1) * kUnit * spread + std::sqrt(n) * logit_error + kUnit)
        << row.name << " " << dtype << " row " << i;
    const double first = want.first_BHT.data<double>()[i];
    if (first < 0) {
      ASSERT_EQ(got.first_BHT.data<float>()[i], -1.0F) << row.name << " row " << i;
    } else {
      // lse comes rounded: half a unit of its magnitude.
      ASSERT_NEAR(got.first_BHT.data<float>()[i], first,
                  first * (2 * logit_error + 8 * kUnit) + 1e-37)
          << row.name << " " << dtype << " row " << i;
    }
  }
}

void expect_definition(Device device, const AttentionCase& row) {
  const test::OneThread one;
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
    const AttentionInputs in = test::make_inputs(row).to(dtype);
    const AttentionInputs exact = in.to(Dtype::kF64);
    const Tensor lse = exact.forward().lse_BHT;
    const AttentionProbe want = probe(exact, lse);
    const AttentionProbe got = probe_on(device, in, lse.to(Dtype::kF32));
    expect_probe_close(row, dtype, got, want,
                       test::largest_logit(in) + std::log(1.0 + static_cast<double>(row.S)));
  }
}

class AttentionProbeCases : public testing::TestWithParam<AttentionCase> {};

TEST_P(AttentionProbeCases, EqualTheDefinition) {
  test::for_each_simd_target([&](std::string_view) { expect_definition(kCpu, GetParam()); });
}

INSTANTIATE_TEST_SUITE_P(Cases,
                         AttentionProbeCases,
                         testing::ValuesIn(all_cases()),
                         [](const auto& row_info) { return row_info.param.name; });

class CudaAttentionProbe : public test::OnCuda<testing::TestWithParam<AttentionCase>> {};

TEST_P(CudaAttentionProbe, EqualsTheDefinition) {
  expect_definition(kCuda, GetParam());
}

INSTANTIATE_TEST_SUITE_P(Cases,
                         CudaAttentionProbe,
                         testing::ValuesIn(all_cases()),
                         [](const auto& row_info) { return row_info.param.name; });

// Packed documents 0..2 and 3..5 of equal keys: every row is uniform over what it sees of its own document.
TEST(AttentionProbeRows, FirstIsTheFirstTokenOfTheDocument) {
  AttentionInputs in = test::make_inputs(
      {.B = 1, .H = 1, .G = 1, .T = 6, .S = 6, .window = 2, .documents = {0, 3, 6}});
  in.k.fill(0.5);
  const AttentionProbe got = probe(in, in.forward().lse_BHT);
  const std::vector<double> want = {1.0, 0.5, -1.0, 1.0, 0.5, -1.0};
  for (std::size_t i = 0; i < want.size(); ++i) {
    EXPECT_NEAR(got.first_BHT.data<double>()[i], want[i], 1e-15) << i;
    EXPECT_NEAR(got.spread_BHT.data<double>()[i], 0.0, 1e-15) << i;
  }
}

TEST(AttentionProbeRows, CudnnIsRefusedByName) {
  AttentionInputs in = test::make_inputs({});
  const Tensor lse = in.forward().lse_BHT;
  in.options.engine = ops::AttentionEngine::kCudnn;
  EXPECT_THROW(static_cast<void>(probe(in, lse)), UnsupportedError);
}

}  // namespace
}  // namespace clausius
