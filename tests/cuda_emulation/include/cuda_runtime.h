// SPDX-License-Identifier: Apache-2.0
// Stands in for CUDA's header where kernels are compiled by the host compiler for tests: the words of the language, and the
// built-ins that our kernels use. What is missing here is not used yet.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tests/cuda_emulation/device/emulator.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define __align__(n) alignas(n)
// A block runs alone, so one copy serves them all; the sanitizers put red zones around it.
#define __shared__ static
#define __constant__ static const

struct dim3 {
  unsigned x = 1;
  unsigned y = 1;
  unsigned z = 1;
  constexpr dim3() = default;
  constexpr explicit dim3(unsigned x_, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

#define threadIdx (::clausius::emulation::current().thread)
#define blockIdx (::clausius::emulation::current().block)
#define blockDim (::clausius::emulation::current().block_size)
#define gridDim (::clausius::emulation::current().grid_size)

// Streams and events: what is asked of the device is done when the call returns.
using cudaStream_t = void*;
struct emulated_event;
using cudaEvent_t = emulated_event*;
enum cudaError_t { cudaSuccess = 0, cudaErrorNotReady = 600 };
enum cudaMemcpyKind { cudaMemcpyDeviceToDevice = 3 };
cudaError_t cudaEventCreate(cudaEvent_t* event);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventQuery(cudaEvent_t event);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end);
inline cudaError_t cudaStreamWaitEvent(cudaStream_t /*stream*/,
                                       cudaEvent_t /*event*/,
                                       unsigned /*flags*/) {
  return cudaSuccess;
}
inline cudaError_t cudaMemcpyAsync(void* to,
                                   const void* from,
                                   std::size_t bytes,
                                   cudaMemcpyKind /*kind*/,
                                   cudaStream_t /*stream*/) {
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}
/// A GPU for each process.
cudaError_t cudaDeviceGetPCIBusId(char* text, int size, int device);
inline const char* cudaGetErrorName(cudaError_t /*error*/) {
  return "cudaSuccess";
}
inline const char* cudaGetErrorString(cudaError_t /*error*/) {
  return "no error";
}

struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};

#define __syncthreads() ::clausius::emulation::barrier(__FILE__, __LINE__)
#define __syncwarp(...) ::clausius::emulation::warp_barrier(__FILE__, __LINE__, 0xffffffffU)

template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int /*width*/ = 32) {
  return ::clausius::emulation::shuffle(mask, value, ::clausius::emulation::lane() ^ lane_mask);
}
template <class T>
T __shfl_sync(unsigned mask, T value, int source, int /*width*/ = 32) {
  return ::clausius::emulation::shuffle(mask, value, source & 31);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int /*width*/ = 32) {
  const int source = ::clausius::emulation::lane() + static_cast<int>(delta);
  return ::clausius::emulation::shuffle(mask, value,
                                        source > 31 ? ::clausius::emulation::lane() : source);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int /*width*/ = 32) {
  const int source = ::clausius::emulation::lane() - static_cast<int>(delta);
  return ::clausius::emulation::shuffle(mask, value,
                                        source < 0 ? ::clausius::emulation::lane() : source);
}
inline unsigned __ballot_sync(unsigned mask, int predicate) {
  return ::clausius::emulation::ballot(mask, predicate != 0);
}
inline int __any_sync(unsigned mask, int predicate) {
  return __ballot_sync(mask, predicate) != 0 ? 1 : 0;
}
inline int __all_sync(unsigned mask, int predicate) {
  return (__ballot_sync(mask, predicate) & mask) == mask ? 1 : 0;
}

// Threads take turns only at barriers, so plain updates are atomic.
template <class T>
T atomicAdd(T* address, T value) {
  const T old = *address;
  *address = old + value;
  return old;
}
template <class T>
T atomicMax(T* address, T value) {
  const T old = *address;
  *address = std::max(old, value);
  return old;
}
template <class T>
T atomicMin(T* address, T value) {
  const T old = *address;
  *address = std::min(old, value);
  return old;
}
template <class T>
T atomicCAS(T* address, T expected, T value) {
  const T old = *address;
  *address = old == expected ? value : old;
  return old;
}
inline void __threadfence() {}

template <class T>
T __ldg(const T* address) {
  return *address;
}
inline float __uint_as_float(unsigned bits) {
  return std::bit_cast<float>(bits);
}
inline unsigned __float_as_uint(float value) {
  return std::bit_cast<unsigned>(value);
}
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>((std::uint64_t{a} * b) >> 32);
}
