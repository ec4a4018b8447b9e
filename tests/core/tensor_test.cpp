// SPDX-License-Identifier: Apache-2.0
// Tensor: construction, views, conversion, memory accounting.
#include "core/tensor.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "core/allocator.h"
#include "core/random.h"
#include "tests/support/random_tensor.h"

namespace clausius {
namespace {

Tensor iota(const Shape& shape) {
  Tensor tensor = Tensor::empty(shape, Dtype::kI32);
  std::int32_t next = 0;
  for (std::int32_t& value : tensor.span<std::int32_t>()) {
    value = next++;
  }
  return tensor;
}

TEST(Tensor, ViewsShareMemory) {
  Tensor x = iota({2, 3, 4});
  const Tensor t = x.transpose(0, 2);
  EXPECT_EQ(t.shape(), (Shape{4, 3, 2}));
  EXPECT_FALSE(t.is_contiguous());
  EXPECT_EQ((View<const std::int32_t, 3>(t)(3, 1, 1)), 19);
  EXPECT_EQ((View<const std::int32_t, 3>(t.contiguous())(3, 1, 1)), 19);
  const Tensor s = x.slice(1, 1, 3).select(0, 1);
  EXPECT_EQ(s.shape(), (Shape{2, 4}));
  EXPECT_EQ((View<const std::int32_t, 2>(s)(0, 0)), 16);
  x.fill(5);
  EXPECT_EQ((View<const std::int32_t, 2>(s)(0, 0)), 5);
}

TEST(Tensor, ReshapeKeepsStridesWhereItCan) {
  const Tensor x = iota({2, 6, 4}).slice(2, 0, 2);
  const Tensor split = x.reshape({2, 3, 2, 2});
  EXPECT_EQ((View<const std::int32_t, 4>(split)(1, 2, 1, 1)), 45);
  const Tensor merged = x.reshape({12, 2});
  EXPECT_EQ((View<const std::int32_t, 2>(merged)(11, 1)), 45);
  EXPECT_THROW((void)x.reshape({2, 12}), ShapeError);
  EXPECT_EQ(iota({6}).reshape({2, -1}).shape(), (Shape{2, 3}));
  EXPECT_THROW((void)iota({6}).reshape({4, -1}), ShapeError);
}

TEST(Tensor, ExpandRepeatsWithoutCopying) {
  const Tensor x = iota({3, 1}).expand({2, 3, 4});
  EXPECT_EQ((View<const std::int32_t, 3>(x)(1, 2, 3)), 2);
  EXPECT_EQ(x.contiguous().span<std::int32_t>()[23], 2);
}

TEST(Tensor, Bf16RoundsToNearestEven) {
  EXPECT_EQ(static_cast<float>(bf16(1.00390625F)), 1.0F);
  EXPECT_EQ(static_cast<float>(bf16(1.01171875F)), 1.015625F);
  EXPECT_TRUE(std::isnan(static_cast<float>(bf16(std::numeric_limits<float>::quiet_NaN()))));
  EXPECT_TRUE(std::isinf(static_cast<float>(bf16(3.4e38F))));
}

TEST(Tensor, SizeZeroWorks) {
  const Tensor x = Tensor::zeros({0, 5}, Dtype::kF32);
  EXPECT_EQ(x.clone().numel(), 0);
  EXPECT_EQ(x.reshape({5, 0}).numel(), 0);
  EXPECT_EQ(x.transpose(0, 1).contiguous().shape(), (Shape{5, 0}));
}

TEST(Tensor, WrongTypeNamesBoth) {
  const Tensor x = Tensor::zeros({1}, Dtype::kF32);
  try {
    (void)x.data<double>();
    FAIL();
  } catch (const DtypeError& error) {
    EXPECT_STREQ(error.what(), "data<f64> of a tensor of f32");
  }
}

TEST(Allocator, CountsPeakAndReuses) {
  Allocator& memory = allocator(kCpu);
  const std::size_t before = memory.stats().used_bytes;
  memory.reset_peak();
  const std::byte* first = nullptr;
  {
    const Tensor x = Tensor::empty({1000}, Dtype::kF32);
    first = x.raw();
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(first) % 64, 0U);
  }
  const Tensor y = Tensor::empty({1000}, Dtype::kF32);
  EXPECT_EQ(y.raw(), first);
  EXPECT_EQ(memory.stats().peak_bytes - before, memory.stats().used_bytes - before);
}

TEST(Allocator, PoisonShowsUnwrittenBytes) {
  const PoisonFreshMemory poison;
  EXPECT_TRUE(std::isnan(Tensor::empty({1}, Dtype::kF32).item()));
  EXPECT_TRUE(std::isnan(Tensor::empty({1}, Dtype::kBf16).item()));
}

TEST(Random, PhiloxKnownAnswer) {
  EXPECT_EQ(philox({0, 0, 0, 0}, 0), (PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
}

TEST(Random, NormalHasItsMoments) {
  const Tensor x = test::random_normal({1 << 16}, "moments");
  double sum = 0;
  double squares = 0;
  for (const double value : x.span<double>()) {
    sum += value;
    squares += value * value;
  }
  EXPECT_NEAR(sum / (1 << 16), 0.0, 0.02);
  EXPECT_NEAR(squares / (1 << 16), 1.0, 0.02);
}

}  // namespace
}  // namespace clausius
