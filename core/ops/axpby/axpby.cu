// SPDX-License-Identifier: Apache-2.0
// CUDA kernels of axpby.
#include "core/cuda/axpby.cuh"
#include "core/ops/axpby/axpby.h"

namespace clausius::ops {
namespace {

CLS_KERNEL(axpby, kCuda, kF32, cuda::axpby<float>);
CLS_KERNEL(axpby, kCuda, kBf16, cuda::axpby<bf16>);

}  // namespace
}  // namespace clausius::ops
