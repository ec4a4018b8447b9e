// SPDX-License-Identifier: Apache-2.0
// How every kernel is started: on a device by nvcc's launch, in tests without one by the emulator.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cuda_runtime.h>
#include <utility>

#include "core/checked.h"
#include "core/cuda/check.h"
#include "core/cuda/context.h"

namespace clausius::cuda {

struct LaunchConfig {
  dim3 grid;
  dim3 block;
  std::size_t shared_bytes = 0;
  /// nullptr: the compute stream.
  cudaStream_t stream = nullptr;
};

/// kernel<<<config>>>(arguments...) on the stream it names. Errors: DeviceError when the launch is refused.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), const LaunchConfig& config, Arguments&&... arguments) {
#ifdef CLS_CUDA_EMULATION
  emulation::run(config.grid, config.block, config.shared_bytes,
                 [&] { kernel(static_cast<Parameters>(arguments)...); });
#else
  // The limit without asking is 48 KiB for dynamic and static memory together; no kernel has 8 KiB of the latter.
  if (config.shared_bytes > 40 * 1024) {
    CLS_CUDA_CHECK(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                        cudaFuncAttributeMaxDynamicSharedMemorySize,
                                        narrow<int>(config.shared_bytes)));
  }
  const cudaStream_t stream = config.stream != nullptr ? config.stream : compute_stream();
  kernel<<<config.grid, config.block, config.shared_bytes, stream>>>(
      static_cast<Parameters>(arguments)...);
  CLS_CUDA_CHECK(cudaGetLastError());
#endif
}

/// A one-dimensional grid over n items: blocks of `threads`, at most `most_blocks` (kernels then stride over the rest).
[[nodiscard]] inline LaunchConfig grid_over(std::int64_t n,
                                            int threads = 256,
                                            std::int64_t most_blocks = 1 << 16) {
  const std::int64_t blocks =
      std::min(most_blocks, std::max<std::int64_t>(1, div_ceil<std::int64_t>(n, threads)));
  return {.grid = dim3(narrow<unsigned>(blocks)), .block = dim3(narrow<unsigned>(threads))};
}

/// Index of this thread among all of a one-dimensional grid, and how many there are.
__device__ inline std::int64_t global_index() {
  return static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
__device__ inline std::int64_t global_threads() {
  return static_cast<std::int64_t>(gridDim.x) * blockDim.x;
}

}  // namespace clausius::cuda

/// `T* name`: the dynamic shared memory of the block, 16-byte aligned.
#ifdef CLS_CUDA_EMULATION
#define CLS_DYNAMIC_SHARED(T, name) \
  T* name = reinterpret_cast<T*>(::clausius::emulation::dynamic_shared())
#define CLS_DYNAMIC_SHARED_1024(T, name) CLS_DYNAMIC_SHARED(T, name)
#else
#define CLS_DYNAMIC_SHARED(T, name)                                        \
  extern __shared__ __align__(16) unsigned char clausius_dynamic_shared[]; \
  T* name = reinterpret_cast<T*>(clausius_dynamic_shared)
/// The same, 1024-byte aligned.
#define CLS_DYNAMIC_SHARED_1024(T, name)                                          \
  extern __shared__ __align__(1024) unsigned char clausius_dynamic_shared_1024[]; \
  T* name = reinterpret_cast<T*>(clausius_dynamic_shared_1024)
#endif
