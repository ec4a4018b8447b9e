// SPDX-License-Identifier: Apache-2.0
// Strided copy with conversion on the CPU.
#include "core/ops/copy/copy.h"

#include <algorithm>
#include <type_traits>

#include "core/device_backend.h"
#include "core/dry_run.h"
#include "core/dtype_dispatch.h"
#include "core/parallel.h"

namespace clausius::ops {
namespace {

constexpr std::int64_t kGrainElements = 1 << 16;

// Offsets of row `row` (all but the last dimension) in a strided tensor.
std::int64_t row_offset(const Tensor& tensor, std::int64_t row) {
  std::int64_t offset = 0;
  for (int axis = tensor.rank() - 2; axis >= 0; --axis) {
    offset += (row % tensor.size(axis)) * tensor.stride(axis);
    row /= tensor.size(axis);
  }
  return offset;
}

template <class To, class From>
void copy_rows(const Tensor& source, Tensor& destination) {
  const From* from = source.data<From>();
  To* to = destination.data<To>();
  const std::int64_t width = source.rank() == 0 ? 1 : source.size(-1);
  const std::int64_t rows = source.numel() / width;
  const std::int64_t from_step = source.rank() == 0 ? 1 : source.stride(-1);
  const std::int64_t to_step = source.rank() == 0 ? 1 : destination.stride(-1);
  const std::int64_t grain = std::max<std::int64_t>(1, kGrainElements / width);
  parallel_for(rows, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const From* x = from + row_offset(source, row);
      To* y = to + row_offset(destination, row);
      if constexpr (std::is_same_v<To, From>) {
        if (from_step == 1 && to_step == 1) {
          std::copy(x, x + width, y);
          continue;
        }
      }
      for (std::int64_t i = 0; i < width; ++i) {
        y[i * to_step] = convert_element<To>(x[i * from_step]);
      }
    }
  });
}

// In a dry run integers, which steer the program, are still real.
bool skipped(const Tensor& destination) {
  return in_dry_run() && is_floating(destination.dtype());
}

// In a dry run every device's memory is the host's.
bool on_device(const Tensor& tensor) {
  return tensor.device().kind != DeviceKind::kCpu && !in_dry_run();
}

// Between the host and a device, or two devices: converted where the source is, sent dense, spread where the destination is.
void copy_across(const Tensor& source, Tensor& destination) {
  const Tensor dense = source.to(destination.dtype()).contiguous();
  const Device far =
      destination.device().kind != DeviceKind::kCpu ? destination.device() : source.device();
  Tensor landing =
      destination.is_contiguous()
          ? destination
          : Tensor::empty(destination.shape(), destination.dtype(), destination.device());
  require_backend(far).copy_bytes(landing.raw(), landing.device(), dense.raw(), dense.device(),
                                  dense.bytes());
  if (!destination.is_contiguous()) {
    copy(landing, destination);
  }
}

}  // namespace

void copy(const Tensor& source, Tensor& destination) {
  CLS_CHECK(source.shape() == destination.shape(), ShapeError, "copy of shape ", source.shape(),
            " into shape ", destination.shape());
  if (source.numel() == 0 || skipped(destination)) {
    return;
  }
  if (source.device() != destination.device() && !in_dry_run()) {
    return copy_across(source, destination);
  }
  if (on_device(source)) {
    return require_backend(source.device()).copy(source, destination);
  }
  Tensor from = source;
  Tensor to = destination;
  if (source.is_contiguous() && destination.is_contiguous() && source.numel() > kGrainElements) {
    // One long run, split evenly: a tensor of few long rows still uses every thread.
    const std::int64_t half = source.numel() % 4096 == 0 ? 4096 : source.numel();
    from = source.reshape({source.numel() / half, half});
    to = destination.reshape({source.numel() / half, half});
  }
  with_type(source.dtype(), [&](auto source_type) {
    with_type(destination.dtype(), [&](auto destination_type) {
      copy_rows<decltype(destination_type), decltype(source_type)>(from, to);
    });
  });
}

void fill(Tensor& destination, double value) {
  if (destination.numel() == 0 || skipped(destination)) {
    return;
  }
  if (on_device(destination)) {
    return require_backend(destination.device()).fill(destination, value);
  }
  with_type(destination.dtype(), [&](auto type) {
    using T = decltype(type);
    const T element = convert_element<T>(value);
    if (destination.is_contiguous()) {
      T* data = destination.data<T>();
      parallel_for(destination.numel(), kGrainElements, [&](std::int64_t begin, std::int64_t end) {
        std::fill(data + begin, data + end, element);
      });
      return;
    }
    Tensor one = Tensor::empty({}, destination.dtype());
    *one.data<T>() = element;
    copy(one.expand(destination.shape()), destination);
  });
}

}  // namespace clausius::ops
