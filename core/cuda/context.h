// SPDX-License-Identifier: Apache-2.0
// The CUDA device of this process and its streams.
#pragma once

#include <cuda_runtime.h>

namespace clausius::cuda {

/// The stream all ops of the calling thread's device run on, one after the other.
[[nodiscard]] cudaStream_t compute_stream();

}  // namespace clausius::cuda
