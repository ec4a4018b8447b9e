// SPDX-License-Identifier: Apache-2.0
// The emulator itself: barriers, shuffles, votes, shared memory, and what it says of kernels that cannot go on.
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/cuda/launch.cuh"
#include "core/cuda/warp.cuh"
#include "core/tensor.h"

namespace clausius::cuda {
namespace {

__global__ void block_sums_kernel(std::int64_t n, const float* x, float* sums) {
  float sum = 0;
  for (std::int64_t i = global_index(); i < n; i += global_threads()) {
    sum += x[i];
  }
  sum = block_reduce<Add>(sum, 0.0F);
  if (threadIdx.x == 0) {
    sums[blockIdx.x] = sum;
  }
}

TEST(Emulator, BlocksReduceOverWarps) {
  std::vector<float> x(10000);
  float total = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = static_cast<float>(i % 7);
    total += x[i];
  }
  std::vector<float> sums(3, -1.0F);
  launch(block_sums_kernel, {.grid = dim3(3), .block = dim3(96)}, std::int64_t{10000}, x.data(),
         sums.data());
  EXPECT_EQ(sums[0] + sums[1] + sums[2], total);
}

__global__ void reverse_kernel(int n, int* x) {
  CLS_DYNAMIC_SHARED(int, held);
  held[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  x[threadIdx.x] = held[n - 1 - static_cast<int>(threadIdx.x)];
}

TEST(Emulator, SharedMemoryIsOfTheBlock) {
  std::vector<int> x(70);
  for (int i = 0; i < 70; ++i) {
    x[static_cast<std::size_t>(i)] = i;
  }
  launch(reverse_kernel, {.grid = dim3(1), .block = dim3(70), .shared_bytes = 70 * sizeof(int)}, 70,
         x.data());
  for (int i = 0; i < 70; ++i) {
    EXPECT_EQ(x[static_cast<std::size_t>(i)], 69 - i);
  }
}

__global__ void votes_kernel(unsigned* votes, int* shifted) {
  const int lane = static_cast<int>(threadIdx.x);
  votes[threadIdx.x] = __ballot_sync(kAllLanes, lane % 3 == 0);
  shifted[threadIdx.x] = __shfl_up_sync(kAllLanes, lane, 2) + __shfl_sync(kAllLanes, lane, 5);
}

TEST(Emulator, LanesVoteAndShuffle) {
  std::vector<unsigned> votes(32);
  std::vector<int> shifted(32);
  launch(votes_kernel, {.grid = dim3(1), .block = dim3(32)}, votes.data(), shifted.data());
  for (int lane = 0; lane < 32; ++lane) {
    EXPECT_EQ(votes[static_cast<std::size_t>(lane)], 0x49249249U);
    EXPECT_EQ(shifted[static_cast<std::size_t>(lane)], (lane < 2 ? lane : lane - 2) + 5);
  }
}

__global__ void divergent_kernel(int half) {
  if (static_cast<int>(threadIdx.x) < half) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}

__global__ void missing_lane_kernel(int* out) {
  if (threadIdx.x != 7) {
    out[threadIdx.x] = __shfl_sync(kAllLanes, 1, 0);
  } else {
    __syncthreads();
  }
}

std::string message_of(const std::function<void()>& fn) {
  try {
    fn();
  } catch (const DeviceError& error) {
    return error.what();
  }
  return "";
}

TEST(Emulator, DivergentBarriersAreErrors) {
  EXPECT_THAT(
      message_of([] { launch(divergent_kernel, {.grid = dim3(1), .block = dim3(64)}, 10); }),
      testing::HasSubstr("thread 10 at a barrier"));
  std::vector<int> out(32);
  EXPECT_THAT(message_of([&] {
                launch(missing_lane_kernel, {.grid = dim3(1), .block = dim3(32)}, out.data());
              }),
              testing::HasSubstr("thread 0 at a warp operation"));
}

#if defined(__SANITIZE_ADDRESS__)
__global__ void global_write_kernel(float* out, int at) {
  out[at] = 1.0F;
}
__global__ void static_shared_kernel(float* out, int at) {
  __shared__ float values[8];
  values[at] = 1.0F;
  out[0] = values[0];
}
__global__ void dynamic_shared_kernel(int at) {
  CLS_DYNAMIC_SHARED(float, values);
  values[at] = 1.0F;
}

// Under the sanitizers a kernel that leaves its memory by one element ends the process, as compute-sanitizer would have it.
TEST(Emulator, MemoryErrorsOfKernelsAreSeen) {
  const Tensor out = Tensor::zeros({7}, Dtype::kF32, kCuda);
  auto* const data = reinterpret_cast<float*>(out.raw());
  const LaunchConfig one{.grid = dim3(1), .block = dim3(1), .shared_bytes = 32};
  launch(global_write_kernel, one, data, 6);
  launch(static_shared_kernel, one, data, 7);
  launch(dynamic_shared_kernel, one, 7);
  EXPECT_DEATH(launch(global_write_kernel, one, data, 7), "heap-buffer-overflow");
  EXPECT_DEATH(launch(static_shared_kernel, one, data, 8), "overflow|out of bounds");
  EXPECT_DEATH(launch(dynamic_shared_kernel, one, 8), "heap-buffer-overflow");
}
#endif

}  // namespace
}  // namespace clausius::cuda
