// SPDX-License-Identifier: Apache-2.0
// cuda::gemm where matmul does not reach: the bias, with outputs and operands that have to be copied.
#include "core/cuda/gemm.h"

#include <gtest/gtest.h>

#include "tests/support/op_case.h"
#include "tests/support/random_tensor.h"

namespace clausius {
namespace {

Tensor normal(const Shape& shape, const char* name, Dtype dtype) {
  return test::random_normal(shape, name).to(dtype).to(kCuda);
}

TEST(CudaGemm, BiasAndEveryOutput) {
  for (const auto& [in, out_dtype] : std::vector<std::pair<Dtype, Dtype>>{
           {Dtype::kF32, Dtype::kF32}, {Dtype::kBf16, Dtype::kBf16}, {Dtype::kBf16, Dtype::kF32}}) {
    for (const bool accumulate : {false, true}) {
      // a has no dense side; out has dense rows, dense columns, and neither.
      const Tensor a = normal({13, 7, 2}, "a", in).select(2, 1);
      const Tensor b = normal({11, 7}, "b", in).transpose(0, 1);
      const ops::GemmOptions options{
          .alpha = 0.5, .accumulate = accumulate, .bias_N = normal({11}, "bias", Dtype::kF32)};
      const Tensor before = normal({13, 11}, "before", out_dtype);
      Tensor want = before.to(kCpu);
      ops::GemmOptions on_host = options;
      on_host.bias_N = options.bias_N.to(kCpu);
      ops::gemm(a.to(kCpu), b.to(kCpu), want, on_host);
      for (Tensor out : {Tensor::empty({13, 11}, out_dtype, kCuda),
                         Tensor::empty({11, 13}, out_dtype, kCuda).transpose(0, 1),
                         Tensor::empty({13, 11, 3}, out_dtype, kCuda).select(2, 1)}) {
        out.copy_from(before);
        cuda::gemm(a, b, out, options);
        test::expect_close(out.to(kCpu), want, test::tolerance(out_dtype, 7),
                           concat(in, " -> ", out_dtype, " strides ", out.strides()));
      }
    }
  }
}

TEST(CudaGemm, ARepeatedOperandIsCopiedOnce) {
  const Tensor a = normal({5, 4, 3}, "a", Dtype::kF32);
  const Tensor b = normal({3, 6, 2}, "b", Dtype::kF32).select(2, 0).expand({5, 3, 6});
  Tensor out = Tensor::empty({5, 4, 6}, Dtype::kF32, kCuda);
  cuda::gemm(a, b, out);
  for (std::int64_t i = 0; i < 5; ++i) {
    Tensor want = Tensor::empty({4, 6}, Dtype::kF32);
    ops::gemm(a.select(0, i).to(kCpu), b.select(0, i).to(kCpu), want);
    test::expect_close(out.select(0, i).to(kCpu), want, test::tolerance(Dtype::kF32, 3), "batch");
  }
}

}  // namespace
}  // namespace clausius
