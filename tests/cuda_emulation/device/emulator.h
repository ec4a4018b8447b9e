// SPDX-License-Identifier: Apache-2.0
// Runs a kernel on the host: blocks one after the other, the threads of a block as fibers that take turns at barriers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>

struct dim3;

namespace clausius::emulation {

struct Index {
  unsigned x = 0;
  unsigned y = 0;
  unsigned z = 0;
};

/// What a running thread knows of itself.
struct Thread {
  Index thread;
  Index block;
  Index block_size;
  Index grid_size;
};

[[nodiscard]] const Thread& current();
/// Lane of its warp.
[[nodiscard]] int lane();

/// Calls `kernel` once for each thread of the grid. Dynamic shared memory is fresh and filled with NaN for each block.
/// Errors: DeviceError naming the places when the threads of a block wait at different barriers, or a lane that a warp operation
///         names never arrives; whatever a thread throws.
void run(const dim3& grid,
         const dim3& block,
         std::size_t shared_bytes,
         const std::function<void()>& kernel);

[[nodiscard]] void* dynamic_shared();

void barrier(const char* file, int line);
void warp_barrier(const char* file, int line, unsigned mask);
/// Puts `bytes` of every lane of `mask` where the others can read them, waits for them all, and copies those of lane `source`.
void exchange(unsigned mask, const void* value, void* result, std::size_t bytes, int source);
[[nodiscard]] unsigned ballot(unsigned mask, bool predicate);

template <class T>
T shuffle(unsigned mask, const T& value, int source) {
  static_assert(sizeof(T) <= 8);
  T result;
  exchange(mask, &value, &result, sizeof(T), source);
  return result;
}

}  // namespace clausius::emulation
