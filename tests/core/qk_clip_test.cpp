// SPDX-License-Identifier: Apache-2.0
// qk_clip on hand-made logits: one key head for each query head, for a group, for all; both backends; what is left alone.
#include "core/ops/qk_clip/qk_clip.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/cuda_test.h"
#include "tests/support/op_case.h"
#include "tests/support/random_tensor.h"

namespace clausius::test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

struct Clip {
  Tensor rows;
  Tensor copy;
  Tensor clips;
};

Tensor maxima(const std::vector<double>& values, Device device) {
  return Tensor::from(values, {std::ssize(values)}).to(device);
}

Clip clip(const std::vector<double>& max,
          const ops::QkClipPlan& plan,
          const Tensor& rows,
          Dtype dtype,
          Device device,
          bool with_copy) {
  Clip result{.rows = rows.to(dtype).to(device).clone(),
              .copy = with_copy ? rows.to(dtype).to(Dtype::kBf16).to(device).clone() : Tensor(),
              .clips = Tensor::zeros({plan.query_heads}, Dtype::kF64, device)};
  ops::qk_clip(maxima(max, device), plan, result.rows, result.copy, result.clips);
  return result;
}

double at(const Tensor& rows, std::int64_t row, std::int64_t column) {
  return rows.to(kCpu).select(0, row).select(0, column).item();
}

// The factor that a row was multiplied by.
double factor(const Clip& got, const Tensor& before, std::int64_t row) {
  return at(got.rows, row, 0) / at(before, row, 0);
}

// Page: queries g^b, keys g^(1 - b).
void check_a_key_head_each(Dtype dtype, Device device) {
  const ops::QkClipPlan plan{
      .query_heads = 3, .key_heads = 3, .head_dim = 2, .threshold = 10, .balance = 0.25};
  const Tensor rows = random_normal({12, 5}, "rows").to(Dtype::kF32);
  const Clip got = clip({40, 10, -3}, plan, rows, dtype, device, dtype == Dtype::kF32);
  const double limit = 4 * tolerance(Dtype::kF32, 1);
  for (std::int64_t d = 0; d < 2; ++d) {
    EXPECT_NEAR(factor(got, rows, d), std::pow(0.25, 0.25), limit);
    EXPECT_NEAR(factor(got, rows, 6 + d), std::pow(0.25, 0.75), limit);
  }
  for (const std::int64_t row : {2, 3, 4, 5, 8, 9, 10, 11}) {
    for (std::int64_t i = 0; i < 5; ++i) {
      EXPECT_EQ(at(got.rows, row, i), at(rows, row, i)) << "row " << row;
    }
  }
  expect_bits_equal(got.clips.to(kCpu), maxima({1, 0, 0}, kCpu), "clips");
  if (got.copy) {
    expect_bits_equal(got.copy.to(kCpu), got.rows.to(kCpu).to(Dtype::kBf16), "copy");
  }
}

// Each head's product is multiplied by exactly its own g, whatever the others of its group need.
void check_groups(std::int64_t key_heads, double balance, Dtype dtype, Device device) {
  const ops::QkClipPlan plan{
      .query_heads = 4, .key_heads = key_heads, .head_dim = 3, .threshold = 5, .balance = balance};
  const std::vector<double> max = {20, 4, 6, -1};
  const Tensor rows = random_normal({(4 + key_heads) * 3, 4}, "rows").to(Dtype::kF32);
  const Clip got = clip(max, plan, rows, dtype, device, false);
  for (std::int64_t h = 0; h < 4; ++h) {
    const double gamma =
        max[static_cast<std::size_t>(h)] > 5 ? 5 / max[static_cast<std::size_t>(h)] : 1;
    const std::int64_t key = h / (4 / key_heads);
    for (std::int64_t d = 0; d < 3; ++d) {
      const double product = factor(got, rows, h * 3 + d) * factor(got, rows, (4 + key) * 3 + d);
      EXPECT_NEAR(product, gamma, 8 * tolerance(Dtype::kF32, 1)) << "head " << h;
    }
  }
  expect_bits_equal(got.clips.to(kCpu), maxima({1, 0, 1, 0}, kCpu), "clips");
}

void check_untouched(Dtype dtype, Device device) {
  const ops::QkClipPlan plan{.query_heads = 4, .key_heads = 2, .head_dim = 2, .threshold = 3};
  const Tensor rows = random_normal({12, 3}, "rows").to(Dtype::kF32);
  for (const std::vector<double>& max :
       {std::vector<double>{3, 0, -5, -kInfinity}, std::vector<double>{kNan, kInfinity, 2, 1}}) {
    const Clip got = clip(max, plan, rows, dtype, device, dtype == Dtype::kF32);
    expect_bits_equal(got.rows.to(kCpu).to(Dtype::kF32), rows, "rows");
    expect_bits_equal(got.clips.to(kCpu), Tensor::zeros({4}, Dtype::kF64), "clips");
  }
}

// A bias is a column of its own: queries and keys apart, each told where its rows begin.
void check_biases(Dtype dtype, Device device) {
  ops::QkClipPlan plan{.query_heads = 2, .key_heads = 1, .head_dim = 2, .threshold = 1};
  const std::vector<double> max = {4, 0.5};
  const Tensor both = random_normal({6, 1}, "bias").to(Dtype::kF32);
  const Clip whole = clip(max, plan, both, dtype, device, false);
  const Clip q = clip(max, plan, both.slice(0, 0, 4), dtype, device, false);
  plan.first_row = 4;
  const Clip k = clip(max, plan, both.slice(0, 4, 6), dtype, device, false);
  expect_bits_equal(q.rows.to(kCpu), whole.rows.to(kCpu).slice(0, 0, 4).contiguous(), "q");
  expect_bits_equal(k.rows.to(kCpu), whole.rows.to(kCpu).slice(0, 4, 6).contiguous(), "k");
  expect_bits_equal(k.clips.to(kCpu), Tensor::zeros({2}, Dtype::kF64), "counted with the queries");
}

void check_all(Dtype dtype, Device device) {
  check_a_key_head_each(dtype, device);
  for (const double balance : {0.0, 0.3, 1.0}) {
    for (const std::int64_t key_heads : {4, 2, 1}) {
      check_groups(key_heads, balance, dtype, device);
    }
  }
  check_untouched(dtype, device);
  check_biases(dtype, device);
}

TEST(QkClip, FollowsThePage) {
  check_all(Dtype::kF64, kCpu);
  check_all(Dtype::kF32, kCpu);
}

class CudaQkClip : public OnCuda<> {};

TEST_F(CudaQkClip, FollowsThePage) {
  check_all(Dtype::kF32, kCuda);
}

TEST_F(CudaQkClip, EqualsTheHost) {
  const ops::QkClipPlan plan{.query_heads = 6, .key_heads = 2, .head_dim = 7, .threshold = 2};
  const Tensor rows = random_normal({56, 301}, "rows").to(Dtype::kF32);
  const std::vector<double> max = {9, 1, 3, 1, 1.5, 2};
  const Clip host = clip(max, plan, rows, Dtype::kF32, kCpu, true);
  const Clip device = clip(max, plan, rows, Dtype::kF32, kCuda, true);
  expect_close(device.rows.to(kCpu), host.rows, tolerance(Dtype::kF32, 1), "rows");
  expect_bits_equal(device.copy.to(kCpu), device.rows.to(kCpu).to(Dtype::kBf16), "copy");
}

TEST(QkClip, MistakesAreNamed) {
  Tensor rows = Tensor::zeros({6, 2}, Dtype::kF32);
  Tensor none;
  const ops::QkClipPlan plan{.query_heads = 2, .key_heads = 1, .head_dim = 2};
  EXPECT_THROW(ops::qk_clip(maxima({1, 2, 3}, kCpu), plan, rows, none, none), ShapeError);
  EXPECT_THROW(ops::qk_clip(Tensor::zeros({2}, Dtype::kF32), plan, rows, none, none), DtypeError);
  Tensor many = Tensor::zeros({7, 2}, Dtype::kF32);
  EXPECT_THROW(ops::qk_clip(maxima({1, 2}, kCpu), plan, many, none, none), ShapeError);
}

}  // namespace
}  // namespace clausius::test
