// SPDX-License-Identifier: Apache-2.0
// The optimizer passes and the gradient norm, against their f64 references and closed forms.
#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "core/ops/adamw/adamw.h"
#include "core/ops/sgd/sgd.h"
#include "core/ops/sum_of_squares/sum_of_squares.h"
#include "core/parallel.h"
#include "tests/support/cuda_test.h"
#include "tests/support/op_case.h"
#include "tests/support/random_tensor.h"

namespace clausius {
namespace {

// More than one piece, and ends that are no multiple of a vector.
constexpr std::int64_t kSize = 40003;

std::vector<UpdateRange> ranges() {
  return {{.begin = 0, .end = 17, .lr_scale = 1.0, .weight_decay = 0.1},
          {.begin = 17, .end = 17},
          {.begin = 32, .end = 40001, .lr_scale = 0.5, .weight_decay = 0.01}};
}

struct Buffers {
  Tensor gradient;
  Tensor first;
  Tensor second;
  Tensor master;
  Tensor compute;
};

Buffers buffers(Dtype dtype) {
  Tensor second = test::random_normal({kSize}, "second", 0.1).to(Dtype::kF32);
  for (float& value : second.span<float>()) {
    value = value * value;
  }
  const auto rounded = [&](const char* name, double std) {
    return test::random_normal({kSize}, name, std).to(Dtype::kF32).to(dtype).clone();
  };
  return {.gradient = rounded("gradient", 1.0),
          .first = rounded("first", 0.3),
          .second = second.to(dtype).clone(),
          .master = rounded("master", 0.02),
          .compute = Tensor::zeros({kSize}, Dtype::kBf16)};
}

void expect_equal_buffers(const Buffers& got, const Buffers& want) {
  const double limit = test::tolerance(Dtype::kF32, 1, 2);
  test::expect_close(got.first, want.first, limit, "first moment");
  test::expect_close(got.second, want.second, limit, "second moment");
  test::expect_close(got.master, want.master, limit, "master");
}

// The bf16 copy is the rounded master inside the ranges, untouched outside.
void expect_compute_copy(const Buffers& got) {
  const Tensor rounded = got.master.to(Dtype::kBf16);
  std::vector<bool> inside(kSize, false);
  for (const UpdateRange& range : ranges()) {
    std::fill(inside.begin() + range.begin, inside.begin() + range.end, true);
  }
  for (std::size_t i = 0; i < kSize; ++i) {
    ASSERT_EQ(got.compute.span<bf16>()[i].bits, inside[i] ? rounded.span<bf16>()[i].bits : 0)
        << "element " << i;
  }
}

TEST(Adamw, EqualsReference) {
  for (const bool decoupled : {true, false}) {
    for (const std::int64_t count : {1, 1000}) {
      const ops::AdamwStep step{.lr = 3e-4,
                                .beta1 = 0.9,
                                .beta2 = 0.95,
                                .eps = 1e-8,
                                .decoupled = decoupled,
                                .gradient_scale = 0.37,
                                .step = count};
      Buffers want = buffers(Dtype::kF64);
      Buffers got = buffers(Dtype::kF32);
      Tensor none;
      const double want_change =
          ops::adamw(want.gradient, want.first, want.second, want.master, none, ranges(), step)
              .item();
      const double change =
          ops::adamw(got.gradient, got.first, got.second, got.master, got.compute, ranges(), step)
              .item();
      EXPECT_NEAR(change, want_change, 1e-4 * want_change);
      expect_equal_buffers(got, want);
      expect_compute_copy(got);
    }
  }
}

// With fresh moments the first step moves every parameter by lr, against the gradient's sign.
TEST(Adamw, FirstStepIsTheSign) {
  Tensor gradient = Tensor::from<float>(std::vector<float>{2.0F, -0.001F, 300.0F}, {3});
  Tensor m = Tensor::zeros({3}, Dtype::kF32);
  Tensor v = Tensor::zeros({3}, Dtype::kF32);
  Tensor master = Tensor::full({3}, 1.0, Dtype::kF32);
  Tensor none;
  const std::vector<UpdateRange> all = {{.begin = 0, .end = 3}};
  (void)ops::adamw(gradient, m, v, master, none, all, {.lr = 0.125, .eps = 1e-12});
  EXPECT_FLOAT_EQ(master.span<float>()[0], 0.875F);
  EXPECT_FLOAT_EQ(master.span<float>()[1], 1.125F);
  EXPECT_FLOAT_EQ(master.span<float>()[2], 0.875F);
}

TEST(Adamw, BitsDoNotDependOnThreadsOrRangeBorders) {
  const int threads = num_threads();
  std::vector<Buffers> runs;
  std::vector<double> changes;
  for (const int count : {1, 3}) {
    set_num_threads(count);
    Buffers b = buffers(Dtype::kF32);
    changes.push_back(
        ops::adamw(b.gradient, b.first, b.second, b.master, b.compute, ranges(), {}).item());
    runs.push_back(b);
  }
  set_num_threads(threads);
  EXPECT_EQ(changes[0], changes[1]);
  test::expect_bits_equal(runs[0].master, runs[1].master, "master with 1 and 3 threads");
  // A shard that starts inside a vector gets the same parameters as the whole.
  Buffers whole = buffers(Dtype::kF32);
  Buffers shards = buffers(Dtype::kF32);
  const std::vector<UpdateRange> one = {{.begin = 0, .end = kSize}};
  const std::vector<UpdateRange> two = {{.begin = 0, .end = 1237}, {.begin = 1237, .end = kSize}};
  Tensor none;
  (void)ops::adamw(whole.gradient, whole.first, whole.second, whole.master, none, one, {});
  (void)ops::adamw(shards.gradient, shards.first, shards.second, shards.master, none, two, {});
  test::expect_bits_equal(whole.master, shards.master, "master in one range and in two");
}

TEST(Sgd, EqualsReference) {
  for (const double momentum : {0.0, 0.9}) {
    for (const bool nesterov : {false, true}) {
      const ops::SgdStep step{
          .lr = 0.05, .momentum = momentum, .nesterov = nesterov, .gradient_scale = 0.5};
      Buffers want = buffers(Dtype::kF64);
      Buffers got = buffers(Dtype::kF32);
      Tensor none;
      Tensor& velocity = momentum == 0.0 ? none : got.first;
      const double want_change =
          ops::sgd(want.gradient, want.first, want.master, none, ranges(), step).item();
      const double change =
          ops::sgd(got.gradient, velocity, got.master, got.compute, ranges(), step).item();
      EXPECT_NEAR(change, want_change, 1e-4 * want_change);
      expect_equal_buffers(got, want);
      expect_compute_copy(got);
    }
  }
}

TEST(OptimizerPasses, MistakesAreNamed) {
  Buffers b = buffers(Dtype::kF32);
  Tensor none;
  const std::vector<UpdateRange> beyond = {{.begin = 0, .end = kSize + 1}};
  EXPECT_THROW(ops::adamw(b.gradient, b.first, b.second, b.master, none, beyond, {}), ShapeError);
  Tensor wide = b.first.to(Dtype::kF64);
  EXPECT_THROW(ops::adamw(b.gradient, wide, b.second, b.master, none, ranges(), {}), DtypeError);
  EXPECT_THROW(ops::sgd(b.gradient, none, b.master, none, ranges(), {.momentum = 0.9}),
               ConfigError);
}

TEST(SumOfSquares, EqualsReferenceInEveryType) {
  for (const std::int64_t size : {0, 1, 7, 1031, 100003}) {
    const Tensor x = test::random_normal({size}, "x").to(Dtype::kBf16);
    double want = 0;
    for (const double value : x.to(Dtype::kF64).span<double>()) {
      want += value * value;
    }
    for (const Dtype dtype : {Dtype::kF64, Dtype::kF32, Dtype::kBf16}) {
      const double got = ops::sum_of_squares(x.to(dtype)).item();
      EXPECT_NEAR(got, want, 1e-12 * want) << size << ' ' << dtype;
    }
  }
}

TEST(SumOfSquares, SeesEveryNonFiniteElement) {
  for (const std::size_t position : {std::size_t{0}, std::size_t{65000}, std::size_t{99999}}) {
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
      Tensor x = Tensor::full({100000}, 1e30, Dtype::kF32);
      EXPECT_TRUE(std::isfinite(ops::sum_of_squares(x).item()));
      x.span<float>()[position] = bad;
      EXPECT_FALSE(std::isfinite(ops::sum_of_squares(x).item()));
    }
  }
}

TEST(SumOfSquares, BitsDoNotDependOnThreads) {
  const Tensor x = test::random_normal({100003}, "x").to(Dtype::kF32);
  const int threads = num_threads();
  set_num_threads(1);
  const double one = ops::sum_of_squares(x).item();
  set_num_threads(3);
  const double three = ops::sum_of_squares(x).item();
  set_num_threads(threads);
  EXPECT_EQ(one, three);
}

// The device, real or emulated, against the CPU: the same formulas in f32, the change summed in another order.
class CudaOptimizerPasses : public test::OnCuda<> {
 protected:
  static Buffers on(Device device, const Buffers& b) {
    return {.gradient = b.gradient.to(device),
            .first = b.first.to(device),
            .second = b.second.to(device),
            .master = b.master.to(device),
            .compute = b.compute.to(device)};
  }

  // More ranges than one launch takes, of odd lengths and with gaps.
  static std::vector<UpdateRange> many_ranges() {
    std::vector<UpdateRange> many;
    for (std::int64_t i = 0; i < 150; ++i) {
      many.push_back({.begin = i * 101,
                      .end = i * 101 + 37 + i % 63,
                      .lr_scale = 1.0 + 0.01 * static_cast<double>(i),
                      .weight_decay = i % 2 == 0 ? 0.1 : 0.0});
    }
    many.push_back({.begin = 16001, .end = kSize});
    return many;
  }

  static void expect_bf16_of_master(const Buffers& got, const std::vector<UpdateRange>& inside) {
    Tensor want = Tensor::zeros({kSize}, Dtype::kBf16);
    for (const UpdateRange& range : inside) {
      want.slice(0, range.begin, range.end).copy_from(got.master.slice(0, range.begin, range.end));
    }
    test::expect_bits_equal(got.compute, want, "bf16 copy");
  }
};

TEST_F(CudaOptimizerPasses, AdamwEqualsCpu) {
  for (const std::vector<UpdateRange>& parts : {ranges(), many_ranges()}) {
    for (const bool decoupled : {true, false}) {
      const ops::AdamwStep step{
          .lr = 3e-4, .decoupled = decoupled, .gradient_scale = 0.37, .step = 3};
      Buffers want = buffers(Dtype::kF32);
      Buffers there = on(kCuda, buffers(Dtype::kF32));
      const double want_change =
          ops::adamw(want.gradient, want.first, want.second, want.master, want.compute, parts, step)
              .item();
      const double change = ops::adamw(there.gradient, there.first, there.second, there.master,
                                       there.compute, parts, step)
                                .item();
      const Buffers got = on(kCpu, there);
      EXPECT_NEAR(change, want_change, 1e-5 * want_change);
      expect_equal_buffers(got, want);
      expect_bf16_of_master(got, parts);
    }
  }
}

TEST_F(CudaOptimizerPasses, SgdEqualsCpu) {
  for (const double momentum : {0.0, 0.9}) {
    for (const bool nesterov : {false, true}) {
      const ops::SgdStep step{
          .lr = 0.05, .momentum = momentum, .nesterov = nesterov, .gradient_scale = 0.5};
      Buffers want = buffers(Dtype::kF32);
      Buffers there = on(kCuda, buffers(Dtype::kF32));
      Tensor none;
      Tensor& velocity = momentum == 0.0 ? none : there.first;
      const double want_change =
          ops::sgd(want.gradient, want.first, want.master, want.compute, many_ranges(), step)
              .item();
      const double change =
          ops::sgd(there.gradient, velocity, there.master, there.compute, many_ranges(), step)
              .item();
      const Buffers got = on(kCpu, there);
      EXPECT_NEAR(change, want_change, 1e-5 * want_change);
      expect_equal_buffers(got, want);
      expect_bf16_of_master(got, many_ranges());
    }
  }
}

TEST_F(CudaOptimizerPasses, BitsDoNotDependOnRangeBorders) {
  const std::vector<UpdateRange> one = {{.begin = 0, .end = kSize}};
  const std::vector<UpdateRange> two = {{.begin = 0, .end = 1237}, {.begin = 1237, .end = kSize}};
  Buffers whole = on(kCuda, buffers(Dtype::kF32));
  Buffers again = on(kCuda, buffers(Dtype::kF32));
  Buffers shards = on(kCuda, buffers(Dtype::kF32));
  Tensor none;
  const auto step = [&](Buffers& b, const std::vector<UpdateRange>& parts) {
    return ops::adamw(b.gradient, b.first, b.second, b.master, none, parts, {}).item();
  };
  EXPECT_EQ(step(whole, one), step(again, one));
  (void)step(shards, two);
  test::expect_bits_equal(whole.master.to(kCpu), again.master.to(kCpu), "master, twice");
  test::expect_bits_equal(whole.master.to(kCpu), shards.master.to(kCpu),
                          "master in one range and in two");
}

TEST_F(CudaOptimizerPasses, SumOfSquaresEqualsCpu) {
  for (const std::int64_t size : {0, 1, 7, 1031, 100003}) {
    const Tensor x = test::random_normal({size}, "x").to(Dtype::kBf16);
    for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
      const Tensor there = x.to(dtype).to(kCuda);
      const double got = ops::sum_of_squares(there).item();
      const double want = ops::sum_of_squares(x.to(dtype)).item();
      EXPECT_NEAR(got, want, 1e-12 * want) << size << ' ' << dtype;
      EXPECT_EQ(got, ops::sum_of_squares(there).item());
    }
  }
  Tensor bad = Tensor::full({100000}, 1e30, Dtype::kF32);
  bad.span<float>()[99999] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(std::isfinite(ops::sum_of_squares(bad.to(kCuda)).item()));
}

}  // namespace
}  // namespace clausius
