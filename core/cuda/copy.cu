// SPDX-License-Identifier: Apache-2.0
// One thread an element, in the order of the destination: rows that are dense on both sides coalesce.
#include <array>
#include <cstring>
#include <limits>
#include <type_traits>

#include "core/cuda/copy.cuh"
#include "core/cuda/launch.cuh"
#include "core/dtype_dispatch.h"

namespace clausius::cuda {
namespace {

constexpr int kMostAxes = 8;

// Sizes and strides of both sides, axes of one size dropped and neighbouring axes merged where both sides allow it.
struct CopyPlan {
  std::int64_t numel = 1;
  int axes = 0;
  std::array<std::int64_t, kMostAxes> size{};
  std::array<std::int64_t, kMostAxes> from{};
  std::array<std::int64_t, kMostAxes> to{};
};

CopyPlan plan_of(const Tensor& source, const Tensor& destination) {
  CopyPlan plan;
  for (int axis = 0; axis < source.rank(); ++axis) {
    const std::int64_t size = source.size(axis);
    plan.numel *= size;
    if (size == 1) {
      continue;
    }
    const auto last = static_cast<std::size_t>(plan.axes) - 1;
    if (plan.axes > 0 && plan.from[last] == size * source.stride(axis) &&
        plan.to[last] == size * destination.stride(axis)) {
      plan.size[last] *= size;
      plan.from[last] = source.stride(axis);
      plan.to[last] = destination.stride(axis);
      continue;
    }
    CLS_CHECK(plan.axes < kMostAxes, ShapeError, "copy of shape ", source.shape(), " with strides ",
              source.strides(), ": more than ", kMostAxes, " axes");
    const auto next = static_cast<std::size_t>(plan.axes++);
    plan.size[next] = size;
    plan.from[next] = source.stride(axis);
    plan.to[next] = destination.stride(axis);
  }
  return plan;
}

// Index: 32 bits wherever the count fits, whose divisions are several times as fast.
template <class Index, class To, class From>
__global__ void copy_kernel(CopyPlan plan, const From* source, To* destination) {
  for (std::int64_t i = global_index(); i < plan.numel; i += global_threads()) {
    auto rest = static_cast<Index>(i);
    std::int64_t from = 0;
    std::int64_t to = 0;
    for (int axis = plan.axes - 1; axis >= 0; --axis) {
      const auto size = static_cast<Index>(plan.size[axis]);
      const Index at = rest % size;
      rest /= size;
      from += static_cast<std::int64_t>(at) * plan.from[axis];
      to += static_cast<std::int64_t>(at) * plan.to[axis];
    }
    destination[to] = convert_element<To>(source[from]);
  }
}

template <class To, class From>
__global__ void convert_dense_kernel(std::int64_t n, const From* source, To* destination) {
  for (std::int64_t i = global_index(); i < n; i += global_threads()) {
    destination[i] = convert_element<To>(source[i]);
  }
}

bool is_dense(const CopyPlan& plan) {
  return plan.axes == 0 || (plan.axes == 1 && plan.from[0] == 1 && plan.to[0] == 1);
}

// Sixteen bytes a thread; the last elements one by one.
template <class T>
__global__ void fill_dense_kernel(std::int64_t n, uint4 values, T value, T* destination) {
  constexpr std::int64_t kElements = sizeof(uint4) / sizeof(T);
  const std::int64_t vectors = n / kElements;
  for (std::int64_t i = global_index(); i < vectors; i += global_threads()) {
    reinterpret_cast<uint4*>(destination)[i] = values;
  }
  for (std::int64_t i = vectors * kElements + global_index(); i < n; i += global_threads()) {
    destination[i] = value;
  }
}

template <class T>
void fill_dense(Tensor& destination, T value) {
  constexpr std::size_t kElements = sizeof(uint4) / sizeof(T);
  std::array<T, kElements> repeated;
  repeated.fill(value);
  uint4 values;
  std::memcpy(&values, repeated.data(), sizeof values);
  const std::int64_t n = destination.numel();
  launch(fill_dense_kernel<T>, grid_over(div_ceil<std::int64_t>(n, kElements)), n, values, value,
         destination.data<T>());
}

template <class T>
__global__ void fill_kernel(CopyPlan plan, T value, T* destination) {
  for (std::int64_t i = global_index(); i < plan.numel; i += global_threads()) {
    std::int64_t rest = i;
    std::int64_t to = 0;
    for (int axis = plan.axes - 1; axis >= 0; --axis) {
      to += rest % plan.size[axis] * plan.to[axis];
      rest /= plan.size[axis];
    }
    destination[to] = value;
  }
}

}  // namespace

void copy(const Tensor& source, Tensor& destination) {
  const CopyPlan plan = plan_of(source, destination);
  if (is_dense(plan) && source.dtype() == destination.dtype()) {
    CLS_CUDA_CHECK(cudaMemcpyAsync(destination.raw(), source.raw(), source.bytes(),
                                   cudaMemcpyDeviceToDevice, compute_stream()));
    return;
  }
  with_type(source.dtype(), [&](auto source_type) {
    with_type(destination.dtype(), [&](auto destination_type) {
      using From = decltype(source_type);
      using To = decltype(destination_type);
      if (is_dense(plan)) {
        return launch(convert_dense_kernel<To, From>, grid_over(plan.numel), plan.numel,
                      source.data<From>(), destination.data<To>());
      }
      const bool small = plan.numel <= std::numeric_limits<std::int32_t>::max();
      launch(small ? copy_kernel<std::uint32_t, To, From> : copy_kernel<std::uint64_t, To, From>,
             grid_over(plan.numel), plan, source.data<From>(), destination.data<To>());
    });
  });
}

void fill(Tensor& destination, double value) {
  const CopyPlan plan = plan_of(destination, destination);
  with_type(destination.dtype(), [&](auto type) {
    using T = decltype(type);
    const bool aligned = reinterpret_cast<std::uintptr_t>(destination.raw()) % sizeof(uint4) == 0;
    if (destination.is_contiguous() && aligned) {
      return fill_dense(destination, static_cast<T>(value));
    }
    launch(fill_kernel<T>, grid_over(plan.numel), plan, static_cast<T>(value),
           destination.data<T>());
  });
}

}  // namespace clausius::cuda
