// SPDX-License-Identifier: Apache-2.0
// CUDA kernels of binary arithmetic: a thread a run of the innermost dimension, repeated operands read in place.
#include "core/cuda/strided.cuh"
#include "core/ops/binary/binary.h"

namespace clausius::ops {
namespace {

__device__ float apply_binary(BinaryOp op, float a, float b) {
  switch (op) {
    case BinaryOp::kAdd:
      return a + b;
    case BinaryOp::kSub:
      return a - b;
    case BinaryOp::kMul:
      return a * b;
    case BinaryOp::kDiv:
      return a / b;
  }
  return a;
}

// Blocks of 256. `op` is the same for all threads, so its branch costs nothing beside the memory.
template <int W, class A, class B, class Y>
__global__ void binary_kernel(
    cuda::StridedPlan<3> plan, BinaryOp op, const A* a, const B* b, Y* y) {
  cuda::for_each_run<W>(plan, [&](const std::int64_t(&at)[3], int count) {
    const cuda::Floats<W> p = cuda::load_run<W>(a + at[0], plan.step[0][0], count);
    const cuda::Floats<W> q = cuda::load_run<W>(b + at[1], plan.step[0][1], count);
    cuda::Floats<W> out;
    CLS_UNROLL
    for (int i = 0; i < W; ++i) {
      out.value[i] = apply_binary(op, p.value[i], q.value[i]);
    }
    cuda::store_run<W>(y + at[2], plan.step[0][2], count, out);
  });
}

template <class A, class B, class Y>
void binary_typed(const Tensor& a, const Tensor& b, Tensor& y, BinaryOp op) {
  constexpr int kWidth =
      std::max({cuda::kVectorWidth<A>, cuda::kVectorWidth<B>, cuda::kVectorWidth<Y>});
  const std::array<const Tensor*, 3> tensors{&a, &b, &y};
  const cuda::StridedPlan<3> plan = cuda::strided_plan<3>(tensors);
  if (plan.size[0] >= kWidth && cuda::runs_are_aligned<3>(plan, tensors, kWidth)) {
    cuda::launch(binary_kernel<kWidth, A, B, Y>, cuda::run_grid<kWidth>(plan), plan, op,
                 a.data<A>(), b.data<B>(), y.data<Y>());
  } else {
    cuda::launch(binary_kernel<1, A, B, Y>, cuda::run_grid<1>(plan), plan, op, a.data<A>(),
                 b.data<B>(), y.data<Y>());
  }
}

template <class Y>
void binary_cuda(const Tensor& a, const Tensor& b, Tensor& y, BinaryOp op) {
  const bool narrow_a = a.dtype() == Dtype::kBf16;
  const bool narrow_b = b.dtype() == Dtype::kBf16;
  if (narrow_a && narrow_b) {
    binary_typed<bf16, bf16, Y>(a, b, y, op);
  } else if (narrow_a) {
    binary_typed<bf16, float, Y>(a, b, y, op);
  } else if (narrow_b) {
    binary_typed<float, bf16, Y>(a, b, y, op);
  } else {
    binary_typed<float, float, Y>(a, b, y, op);
  }
}

CLS_KERNEL(binary, kCuda, kF32, binary_cuda<float>);
CLS_KERNEL(binary, kCuda, kBf16, binary_cuda<bf16>);

}  // namespace
}  // namespace clausius::ops
