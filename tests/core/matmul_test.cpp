// SPDX-License-Identifier: Apache-2.0
// matmul: every layout, batching, type and the sizes where it could go wrong, against the f64
// reference.
#include "core/ops/matmul/matmul.h"

#include <cmath>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "autograd/rules/matmul.h"
#include "core/allocator.h"
#include "core/ops/matmul/gemm.h"
#include "tests/support/cuda_test.h"
#include "tests/support/op_case.h"
#include "tests/support/random_tensor.h"

namespace clausius {
namespace {

struct Layout {
  bool transpose_a = false;
  bool transpose_b = false;
};

struct Case {
  Shape a;
  Shape b;
  double alpha = 1.0;
  bool accumulate = false;
};

// A tensor of this shape and type with the memory of its transpose.
Tensor stored(const Tensor& values, Dtype dtype, bool transposed, Device device = kCpu) {
  return transposed ? values.transpose(-1, -2).contiguous().to(dtype).to(device).transpose(-1, -2)
                    : values.to(dtype).to(device);
}

// |error| <= this for a sum of `length` products of bounded size `bound`, rounded to `out`.
double allowed(Dtype out, double length, double bound, double value) {
  const double sum = 0x1p-24 * (length + 2) * bound;
  return out == Dtype::kBf16 ? sum + 0x1p-8 * std::abs(value) : sum + 0x1p-23 * std::abs(value);
}

void expect_close(const Tensor& got,
                  const Tensor& want,
                  const Tensor& bound,
                  double length,
                  const std::string& what) {
  ASSERT_EQ(got.shape(), want.shape()) << what;
  const Tensor got_f64 = got.contiguous().to(Dtype::kF64);
  for (std::size_t i = 0; i < got_f64.span<double>().size(); ++i) {
    const double g = got_f64.span<double>()[i];
    const double w = want.span<double>()[i];
    ASSERT_LE(std::abs(g - w), allowed(got.dtype(), length, bound.span<double>()[i], w))
        << what << " element " << i << ": got " << g << ", want " << w;
  }
}

Tensor magnitude(const Tensor& x) {
  Tensor y = x.clone();
  for (double& value : y.span<double>()) {
    value = std::abs(value);
  }
  return y;
}

void check(const Case& row, Dtype in, Dtype out, Layout layout, Device device) {
  const std::string what = concat("a ", row.a, " b ", row.b, ' ', in, "->", out, " alpha ",
                                  row.alpha, " accumulate ", row.accumulate, " transposes ",
                                  layout.transpose_a, layout.transpose_b, " on ", device);
  const PoisonFreshMemory poison;
  const Tensor a = stored(test::random_normal(row.a, "a"), in, layout.transpose_a, device);
  const Tensor b = stored(test::random_normal(row.b, "b"), in, layout.transpose_b, device);
  const Tensor a_f64 = a.to(kCpu).contiguous().to(Dtype::kF64);
  const Tensor b_f64 = b.to(kCpu).contiguous().to(Dtype::kF64);
  Tensor want = ops::matmul(a_f64, b_f64, row.alpha);
  Tensor bound = ops::matmul(magnitude(a_f64), magnitude(b_f64), std::abs(row.alpha));
  Tensor got = Tensor::empty(want.shape(), out, device);
  if (row.accumulate) {
    got.copy_from(test::random_normal(want.shape(), "before").to(out));
    const Tensor before = got.to(kCpu).to(Dtype::kF64);
    for (std::size_t i = 0; i < before.span<double>().size(); ++i) {
      want.span<double>()[i] += before.span<double>()[i];
      bound.span<double>()[i] += std::abs(before.span<double>()[i]);
    }
  }
  ops::matmul(a, b, got, row.alpha, row.accumulate);
  expect_close(got.to(kCpu), want, bound, static_cast<double>(row.a[-1]), what);
}

const std::vector<Case>& cases() {
  static const std::vector<Case> rows = {
      {.a = {1, 1}, .b = {1, 1}},
      {.a = {2, 3}, .b = {3, 4}},
      {.a = {1, 37}, .b = {37, 53}},
      {.a = {41, 37}, .b = {37, 1}},
      {.a = {53, 1}, .b = {1, 47}},
      {.a = {129, 67}, .b = {67, 131}, .alpha = 0.125},
      {.a = {129, 67}, .b = {67, 131}, .accumulate = true},
      {.a = {65, 300}, .b = {300, 33}, .alpha = -2.5, .accumulate = true},
      {.a = {3, 17, 19}, .b = {3, 19, 23}},
      {.a = {3, 17, 19}, .b = {19, 23}, .accumulate = true},
      {.a = {17, 19}, .b = {4, 19, 23}},
      {.a = {2, 1, 5, 7}, .b = {3, 7, 6}, .alpha = 3.0},
      {.a = {2, 3, 1, 7}, .b = {2, 1, 7, 1}},
  };
  return rows;
}

void check_all(Device device) {
  const std::vector<std::pair<Dtype, Dtype>> types = {
      {Dtype::kF32, Dtype::kF32}, {Dtype::kBf16, Dtype::kBf16}, {Dtype::kBf16, Dtype::kF32}};
  for (const Case& row : cases()) {
    for (const auto& [in, out] : types) {
      for (const Layout layout :
           {Layout{false, false}, Layout{true, false}, Layout{false, true}, Layout{true, true}}) {
        check(row, in, out, layout, device);
      }
    }
  }
}

TEST(Matmul, EqualsReference) {
  check_all(kCpu);
}

class CudaMatmul : public test::OnCuda<> {};

TEST_F(CudaMatmul, EqualsReference) {
  check_all(kCuda);
}

test::OpCase row(const std::string& name, const Shape& a, const Shape& b, double alpha = 1.0) {
  return {.name = name,
          .inputs = {{.shape = a}, {.shape = b}},
          .fn = [alpha](const std::vector<Variable>& in) -> std::vector<Variable> {
            return {matmul(in[0], in[1], alpha)};
          },
          .reduction = std::max({a.numel(), b.numel(), std::int64_t{1}})};
}

CLS_OP_CASES(matmul,
             {row("scalar", {1, 1}, {1, 1}), row("small", {3, 5}, {5, 4}, 0.5),
              row("prime", {31, 37}, {37, 29}), row("batch", {2, 3, 4, 5}, {2, 3, 5, 6}, 2.0),
              row("shared_b", {2, 3, 4, 5}, {5, 6}), row("shared_a", {4, 5}, {3, 5, 2}),
              row("repeated_axes", {2, 1, 4, 5}, {3, 5, 2}),
              row("repeated_leading_one", {1, 4, 5}, {3, 5, 2}), row("no_rows", {0, 5}, {5, 2}),
              row("no_inner", {3, 0}, {0, 2})});

void check_strided(Device device) {
  const Tensor wide_a = test::random_normal({20, 3, 40}, "wide a").to(Dtype::kF32).to(device);
  const Tensor wide_b = test::random_normal({40, 50}, "wide b").to(Dtype::kF32).to(device);
  const Tensor a = wide_a.select(1, 1).slice(1, 3, 36);  // rows 120 apart
  const Tensor b = wide_b.slice(0, 0, 33).slice(1, 1, 12);
  const Tensor want = ops::matmul(a.to(kCpu).contiguous(), b.to(kCpu).contiguous());
  for (const bool transposed : {false, true}) {
    Tensor whole = Tensor::full({30, 30}, 7.0, Dtype::kF32, device);
    Tensor out = transposed ? whole.slice(0, 2, 13).slice(1, 4, 24).transpose(0, 1)
                            : whole.slice(0, 2, 22).slice(1, 4, 15);
    ops::matmul(a, b, out);
    const Tensor got = out.to(kCpu).contiguous();
    for (std::size_t i = 0; i < 220; ++i) {
      EXPECT_NEAR(got.span<float>()[i], want.span<float>()[i], 1e-4);
    }
    out.fill(7.0);
    const Tensor filled = whole.to(kCpu);
    for (const float value : filled.span<float>()) {
      ASSERT_EQ(value, 7.0F) << "written outside the output view";
    }
  }
}

TEST(Matmul, StridedOperandsAndOutput) {
  check_strided(kCpu);
}

TEST_F(CudaMatmul, StridedOperandsAndOutput) {
  check_strided(kCuda);
}

TEST(Matmul, PortablePathEqualsOneDnn) {
  for (const auto& [in, out_dtype] : std::vector<std::pair<Dtype, Dtype>>{
           {Dtype::kF32, Dtype::kF32}, {Dtype::kBf16, Dtype::kBf16}, {Dtype::kBf16, Dtype::kF32}}) {
    for (const bool accumulate : {false, true}) {
      const Tensor a = stored(test::random_normal({131, 37}, "a"), in, accumulate);
      const Tensor b = stored(test::random_normal({37, 29}, "b"), in, !accumulate);
      const Tensor before = test::random_normal({131, 29}, "before").to(out_dtype);
      const ops::GemmOptions options{.alpha = 0.5,
                                     .accumulate = accumulate,
                                     .bias_N = test::random_normal({29}, "bias").to(Dtype::kF32)};
      Tensor portable = before.clone();
      Tensor fast = before.clone();
      ops::portable_gemm(a, b, portable, options);
      ops::gemm(a, b, fast, options);
      test::expect_close(portable, fast, test::tolerance(out_dtype, 37),
                         concat(in, " -> ", out_dtype, ' ', accumulate));
    }
  }
}

// Heads of one fused projection, [B, T, H, D] seen as [B, H, T, D], times their transpose: nothing
// merges.
void check_batches_of_views(Device device) {
  const Tensor fused = test::random_normal({2, 9, 3, 5}, "fused").to(Dtype::kF32).to(device);
  const Tensor q = fused.transpose(1, 2);
  const Tensor scores = ops::matmul(q, q.transpose(-1, -2)).to(kCpu);
  const Tensor dense = q.to(kCpu).contiguous();
  const Tensor want = ops::matmul(dense, dense.transpose(-1, -2).contiguous());
  for (std::size_t i = 0; i < want.span<float>().size(); ++i) {
    EXPECT_NEAR(scores.span<float>()[i], want.span<float>()[i], 1e-5);
  }
}

TEST(Matmul, BatchesOfViews) {
  check_batches_of_views(kCpu);
}

TEST_F(CudaMatmul, BatchesOfViews) {
  check_batches_of_views(kCuda);
}

TEST(Matmul, EmptySizes) {
  const PoisonFreshMemory poison;
  const Tensor none = Tensor::empty({3, 0}, Dtype::kF32);
  EXPECT_EQ(
      ops::matmul(Tensor::empty({0, 4}, Dtype::kF32), Tensor::empty({4, 3}, Dtype::kF32)).shape(),
      (Shape{0, 3}));
  Tensor out = ops::matmul(none, Tensor::empty({0, 2}, Dtype::kF32));
  for (const float value : out.span<float>()) {
    EXPECT_EQ(value, 0.0F);
  }
  out.fill(2.0);
  ops::matmul(none, Tensor::empty({0, 2}, Dtype::kF32), out, 1.0, true);
  EXPECT_EQ(out.span<float>()[5], 2.0F);
}

TEST(Matmul, SameBitsEveryRun) {
  const Tensor a = test::random_normal({257, 129}, "a").to(Dtype::kF32);
  const Tensor b = test::random_normal({129, 67}, "b").to(Dtype::kF32);
  const Tensor first = ops::matmul(a, b);
  for (int run = 0; run < 3; ++run) {
    const Tensor again = ops::matmul(a, b);
    EXPECT_TRUE(std::equal(first.span<float>().begin(), first.span<float>().end(),
                           again.span<float>().begin()));
  }
}

TEST(Matmul, MistakesAreNamed) {
  const Tensor a = Tensor::zeros({2, 3}, Dtype::kF32);
  const Tensor b = Tensor::zeros({4, 3}, Dtype::kF32);
  try {
    (void)ops::matmul(a, b);
    FAIL();
  } catch (const ShapeError& error) {
    EXPECT_NE(std::string(error.what()).find("a is (2, 3), b is (4, 3)"), std::string::npos)
        << error.what();
    EXPECT_NE(std::string(error.what()).find("Did you mean"), std::string::npos) << error.what();
  }
  EXPECT_THROW((void)ops::matmul(a, b.to(Dtype::kBf16).transpose(0, 1)), DtypeError);
  EXPECT_THROW((void)ops::matmul(Tensor::zeros({2, 1, 1}, Dtype::kF32),
                                 Tensor::zeros({3, 1, 1}, Dtype::kF32)),
               ShapeError);
}

}  // namespace
}  // namespace clausius
