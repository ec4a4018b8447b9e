// SPDX-License-Identifier: Apache-2.0
// In-place addition over rows on the CPU.
#include "core/ops/accumulate/accumulate.h"

#include "core/parallel.h"

namespace clausius::ops {
namespace {

constexpr std::int64_t kGrainElements = 1 << 15;

template <class T>
using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;

template <class Total, class Part>
void add_rows(const Tensor& part, Tensor& total) {
  const std::int64_t width = part.size(-1);
  const std::int64_t rows = part.numel() / width;
  const auto row_offset = [](const Tensor& tensor, std::int64_t row) {
    std::int64_t offset = 0;
    for (int axis = tensor.rank() - 2; axis >= 0; --axis) {
      offset += (row % tensor.size(axis)) * tensor.stride(axis);
      row /= tensor.size(axis);
    }
    return offset;
  };
  const std::int64_t part_step = part.stride(-1);
  const std::int64_t total_step = total.stride(-1);
  parallel_for(rows, std::max<std::int64_t>(1, kGrainElements / width),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t row = begin; row < end; ++row) {
                   const Part* x = part.data<Part>() + row_offset(part, row);
                   Total* y = total.data<Total>() + row_offset(total, row);
                   for (std::int64_t i = 0; i < width; ++i) {
                     y[i * total_step] = Total(static_cast<Wide<Total>>(y[i * total_step]) +
                                               static_cast<Wide<Total>>(x[i * part_step]));
                   }
                 }
               });
}

template <class Fn>
void with_float(Dtype dtype, const Fn& fn) {
  CLS_CHECK(is_floating(dtype), DtypeError, "accumulate of ", dtype, "; expected a floating type");
  if (dtype == Dtype::kF64) {
    fn(double{});
  } else if (dtype == Dtype::kF32) {
    fn(float{});
  } else {
    fn(bf16{});
  }
}

}  // namespace

void accumulate(const Tensor& part, Tensor& total) {
  CLS_CHECK(part.shape() == total.shape(), ShapeError, "accumulate of shape ", part.shape(),
            " into shape ", total.shape());
  if (part.numel() == 0) {
    return;
  }
  // Dense tensors are cut into short rows so that one long dimension is shared out too.
  const bool dense = part.is_contiguous() && total.is_contiguous();
  const std::int64_t width = part.numel() % 4096 == 0 ? 4096 : part.numel();
  const bool scalar = part.rank() == 0;
  const Tensor from =
      dense ? part.reshape({part.numel() / width, width}) : (scalar ? part.reshape({1}) : part);
  Tensor to =
      dense ? total.reshape({part.numel() / width, width}) : (scalar ? total.reshape({1}) : total);
  with_float(total.dtype(), [&](auto total_type) {
    with_float(part.dtype(), [&](auto part_type) {
      add_rows<decltype(total_type), decltype(part_type)>(from, to);
    });
  });
}

}  // namespace clausius::ops
