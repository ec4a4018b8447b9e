// SPDX-License-Identifier: Apache-2.0
// Rows for the layouts that CUDA kernels choose by width: vectors or elements, a warp or a block a row, rows beyond registers; and what
// case tables cannot say of a device, against the CPU.
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "autograd/rules/binary.h"
#include "autograd/rules/dropout.h"
#include "autograd/rules/gated.h"
#include "autograd/rules/layer_norm.h"
#include "autograd/rules/reduce.h"
#include "autograd/rules/rms_norm.h"
#include "autograd/rules/softmax.h"
#include "core/ops/accumulate/accumulate.h"
#include "core/ops/axpby/axpby.h"
#include "core/ops/dropout/dropout.h"
#include "core/ops/layer_norm/layer_norm.h"
#include "core/ops/linear/linear.h"
#include "core/ops/reduce/reduce.h"
#include "core/ops/rope/rope.h"
#include "core/ops/softmax/softmax.h"
#include "tests/support/cuda_test.h"
#include "tests/support/op_case.h"
#include "tests/support/random_tensor.h"

namespace clausius::test {
namespace {

using Variables = std::vector<Variable>;

// Rows enough that blocks walk over several; widths in steps of the layouts of core/cuda/rows.cuh and norm_rows.cuh.
std::vector<OpCase> row_layouts() {
  std::vector<OpCase> cases;
  const auto add = [&](const std::string& op, const Shape& shape, bool with_gain, bool with_bias,
                       const DifferentiableFn& fn) {
    OpCase row{.name = concat(op, "_", shape[0], "_by_", shape[1]),
               .inputs = {{.shape = shape}},
               .fn = fn,
               .reduction = std::max(shape[0], shape[1]),
               .roundings = 3,
               .check_gradient = false};
    if (with_gain) {
      row.inputs.push_back({.shape = {shape[1]}, .fill = Fill::kUniform, .keep_f32 = true});
    }
    if (with_bias) {
      row.inputs.push_back({.shape = {shape[1]}, .keep_f32 = true});
    }
    cases.push_back(row);
  };
  for (const Shape& shape : std::vector<Shape>{{70, 96},
                                               {9, 248},
                                               {9, 400},
                                               {19, 1000},
                                               {11, 2504},
                                               {9, 4104},
                                               {2, 8200},
                                               {2, 16392},
                                               {3, 2054}}) {
    add("layer_norm", shape, true, true,
        [](const Variables& x) { return std::vector{layer_norm(x[0], x[1], x[2], 1e-5)}; });
    add("rms_norm", shape, true, false,
        [](const Variables& x) { return std::vector{rms_norm(x[0], x[1], 1e-5)}; });
    add("simple_rms_norm", shape, false, false,
        [](const Variables& x) { return std::vector{rms_norm(x[0], Variable(), 1e-5)}; });
    add("softmax", shape, false, false, [](const Variables& x) {
      return std::vector{softmax(x[0], -1), scale(x[0], 1.0)};
    });
    add("swiglu", shape, false, false,
        [](const Variables& x) { return std::vector{gated(x[0], ops::Gate::kSilu)}; });
    add("sum_rows", shape, false, false,
        [](const Variables& x) { return std::vector{sum(x[0], {1})}; });
    add("sum_columns", shape, false, false,
        [](const Variables& x) { return std::vector{sum(x[0], {0})}; });
    add("max_rows", shape, false, false,
        [](const Variables& x) { return std::vector{max(x[0], 1)}; });
  }
  add("sum_columns", {5003, 64}, false, false,
      [](const Variables& x) { return std::vector{sum(x[0], {0})}; });
  return cases;
}

CLS_OP_CASES(row_layouts, (row_layouts()));

std::vector<OpCase> broadcast_layouts() {
  std::vector<OpCase> cases;
  const auto add_row = [&](const std::string& name, const Shape& a, const Shape& b,
                           bool parameter = false) {
    cases.push_back(
        {.name = name,
         .inputs = {{.shape = a}, {.shape = b, .fill = Fill::kUniform, .keep_f32 = parameter}},
         .fn = [](const Variables& x) { return std::vector{mul(x[0], x[1])}; },
         .reduction = std::max(a.numel(), b.numel()),
         .roundings = 2,
         .check_gradient = false});
  };
  add_row("row", {6, 64}, {64});
  add_row("parameter", {6, 64}, {64}, true);
  add_row("column", {6, 64}, {6, 1});
  add_row("middle", {3, 5, 64}, {3, 1, 64});
  add_row("outer", {24, 1}, {1, 40});
  add_row("vectors_and_a_rest", {4099}, {4099});
  return cases;
}

CLS_OP_CASES(broadcast_layouts, (broadcast_layouts()));

class CudaKernels : public test::OnCuda<> {};

Tensor normal(const Shape& shape, const char* name, Dtype dtype) {
  return random_normal(shape, name).to(dtype);
}

TEST_F(CudaKernels, DropoutDrawsTheWordsOfTheCpu) {
  const RandomStream stream{.seed = 0x123456789abcdef0, .stream = 5, .step = 3};
  const Tensor samples = Tensor::from(std::vector<std::int64_t>{17, (1LL << 33) + 5, 2}, {3});
  for (const std::int64_t width : {1, 4096, 4099}) {
    for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
      const Tensor x = normal({3, width}, "x", dtype);
      const Tensor want = ops::dropout(x, 0.3, stream, samples);
      const Tensor got = ops::dropout(x.to(kCuda), 0.3, stream, samples.to(kCuda));
      expect_bits_equal(got.to(kCpu), want, concat("width ", width, " ", dtype));
    }
  }
}

// Types beside each other, any strides, in place between neighbours that must stay.
TEST_F(CudaKernels, AxpbyAndAccumulateFollowTypesAndStrides) {
  for (const Dtype from : {Dtype::kF64, Dtype::kF32, Dtype::kBf16}) {
    for (const Dtype to : {Dtype::kF32, Dtype::kBf16}) {
      for (const Shape& shape : std::vector<Shape>{{37, 41}, {6, 64}}) {
        for (const bool strided : {false, true}) {
          const Tensor x = normal(shape, "x", from);
          const auto fresh = [&](Device device) {
            Tensor whole = normal({shape[1], shape[0] + 5}, "y", to).clone().to(device);
            return strided ? whole.slice(1, 2, 2 + shape[0]).transpose(0, 1)
                           : normal(shape, "y", to).clone().to(device);
          };
          for (const double beta : {0.0, 1.0, 0.5}) {
            Tensor want = fresh(kCpu);
            Tensor got = fresh(kCuda);
            ops::axpby(-0.75, x, beta, want);
            ops::axpby(-0.75, x.to(kCuda), beta, got);
            expect_close(got.to(kCpu), want, tolerance(to, 1), concat("axpby ", from, " ", to));
          }
          Tensor want = fresh(kCpu);
          Tensor got = fresh(kCuda);
          ops::accumulate(x, want);
          ops::accumulate(x.to(kCuda), got);
          expect_bits_equal(got.to(kCpu), want, concat("accumulate ", from, " ", to));
        }
      }
    }
  }
}

TEST_F(CudaKernels, BiasGradientsAddUp) {
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
    for (const Shape& shape : std::vector<Shape>{{1, 8}, {301, 64}, {1301, 19}, {4099, 8}}) {
      for (const bool accumulate : {false, true}) {
        const Tensor wide = normal({shape[0], shape[1] + 8}, "dy", dtype);
        const Tensor dy = wide.slice(1, 8, 8 + shape[1]);
        Tensor want = Tensor::full({shape[1]}, 3.0, Dtype::kF32);
        Tensor got = want.to(kCuda);
        ops::linear_bias_gradient(dy, want, accumulate);
        ops::linear_bias_gradient(wide.to(kCuda).slice(1, 8, 8 + shape[1]), got, accumulate);
        expect_close(got.to(kCpu), want, tolerance(Dtype::kF32, shape[0]),
                     concat(shape, " ", dtype));
      }
    }
  }
}

TEST_F(CudaKernels, VarianceDoesNotCancelFarFromZero) {
  for (const std::int64_t width : {257, 1024, 16400}) {
    Tensor x = random_normal({1, width}, "offset");
    for (double& value : x.span<double>()) {
      value += 4096.0;
    }
    const Tensor narrow = x.to(Dtype::kF32);
    const ops::LayerNormOutput got = ops::layer_norm(narrow.to(kCuda), {}, {}, 0.0);
    const ops::LayerNormOutput want = ops::layer_norm(narrow.to(Dtype::kF64), {}, {}, 0.0);
    expect_close(got.rstd.to(kCpu), want.rstd, 1e-6, "rstd");
    expect_close(got.mean.to(kCpu), want.mean, 0x1p-23, "mean");
    expect_close(got.y.to(kCpu), want.y, 1e-6, "y");
  }
}

TEST_F(CudaKernels, SoftmaxOfMaskedRowsAndNan) {
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const std::int64_t width : {3, 64, 1000, 9000}) {
    for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
      Tensor x = Tensor::full({4, width}, -inf, Dtype::kF32);
      x.span<float>()[static_cast<std::size_t>(width + 1)] = 0.0F;
      x.span<float>()[static_cast<std::size_t>(2 * width + 1)] = nan;
      x.span<float>()[static_cast<std::size_t>(3 * width + 1)] = inf;
      const Tensor want = ops::softmax(x.to(dtype));
      const Tensor got = ops::softmax(x.to(dtype).to(kCuda));
      expect_close(got.to(kCpu), want, tolerance(dtype, 1), concat("width ", width));
    }
  }
}

TEST_F(CudaKernels, MaxTakesNanAndTheFirstOfEquals) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> values{1, 7, 7, 2, nan, 9, nan, 0, -1, -1, -1, -1};
  const Tensor rows = Tensor::from(values, {3, 4});
  for (const int axis : {0, 1}) {
    const Tensor x = axis == 1 ? rows : rows.transpose(0, 1).contiguous();
    const ops::MaxOutput want = ops::max(x, axis);
    const ops::MaxOutput got = ops::max(x.to(kCuda), axis);
    expect_bits_equal(got.index.to(kCpu), want.index, "index");
    expect_close(got.value.to(kCpu), want.value, 0.0, "value");
  }
}

TEST_F(CudaKernels, RopeOutsideItsTableIsNan) {
  const ops::RopeTable table = ops::make_rope_table(4, 8, 10000.0);
  const Tensor x = normal({1, 3, 1, 8}, "x", Dtype::kF32);
  const Tensor positions = Tensor::from(std::vector<std::int32_t>{3, 4, -1}, {1, 3});
  const Tensor y = ops::rope(x.to(kCuda), positions.to(kCuda), table).to(kCpu);
  for (std::size_t i = 0; i < 24; ++i) {
    EXPECT_EQ(std::isnan(y.span<float>()[i]), i >= 8) << i;
  }
}

}  // namespace
}  // namespace clausius::test
