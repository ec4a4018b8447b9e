// SPDX-License-Identifier: Apache-2.0
// The CUDA device of this process and its streams.
#pragma once

#include <cuda_runtime.h>

namespace clausius::cuda {

/// The GPU of this process: 0, or what was selected before the first use.
[[nodiscard]] int selected_device();
/// Makes it the calling thread's, as every thread must before it asks anything of CUDA.
void bind_thread();

/// Whether the GPU of this process multiplies by warpgroup (core/cuda/wgmma.cuh) and this build has such kernels (sm_90a).
[[nodiscard]] bool has_warpgroup_products();

/// The stream all ops of the calling thread's device run on, one after the other.
[[nodiscard]] cudaStream_t compute_stream();

/// The stream of collectives, beside it.
[[nodiscard]] cudaStream_t communication_stream();

/// The stream of copies that go on beside it.
[[nodiscard]] cudaStream_t copy_stream();

}  // namespace clausius::cuda
