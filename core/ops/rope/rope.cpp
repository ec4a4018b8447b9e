// SPDX-License-Identifier: Apache-2.0
// Rotary embedding: the table, checks, dispatch.
#include "core/ops/rope/rope.h"

#include <cmath>

#include "core/ops/rope/rope_reference.h"
#include "core/parallel.h"

namespace clausius::ops {

RopeKernelTable& rope_kernels() {
  static RopeKernelTable table("rope", rope_reference<double>, rope_reference<float>);
  return table;
}

RopeTable make_rope_table(std::int64_t max_positions,
                          std::int64_t head_dim,
                          double theta,
                          Dtype dtype) {
  CLS_CHECK(head_dim % 2 == 0, ShapeError, "rope: head_dim ", head_dim, " is odd; expected pairs");
  CLS_CHECK(theta > 0, ConfigError, "rope: theta is ", theta, "; expected a positive number");
  const std::int64_t half = head_dim / 2;
  Tensor cos = Tensor::empty({max_positions, half}, Dtype::kF64);
  Tensor sin = Tensor::empty({max_positions, half}, Dtype::kF64);
  parallel_for(max_positions, 256, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t p = begin; p < end; ++p) {
      for (std::int64_t i = 0; i < half; ++i) {
        const double angle =
            static_cast<double>(p) *
            std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(head_dim));
        cos.data<double>()[p * half + i] = std::cos(angle);
        sin.data<double>()[p * half + i] = std::sin(angle);
      }
    }
  });
  return {.cos = cos.to(dtype), .sin = sin.to(dtype)};
}

namespace {

void check_positions(const Tensor& positions, std::int64_t limit) {
  const View<const std::int32_t, 2> position(positions);
  for (std::int64_t b = 0; b < positions.size(0); ++b) {
    for (std::int64_t t = 0; t < positions.size(1); ++t) {
      CLS_CHECK(position(b, t) >= 0 && position(b, t) < limit, DataError, "rope: position ",
                position(b, t), " of row ", b, ", token ", t, " is outside the table of ", limit,
                " positions");
    }
  }
}

void rotate(
    const Tensor& x, const Tensor& positions, const RopeTable& table, Tensor& out, int sign) {
  CLS_CHECK(is_floating(x.dtype()) && out.dtype() == x.dtype(), DtypeError, "rope of ", x.dtype(),
            " into ", out.dtype(), "; expected one floating type");
  CLS_CHECK(x.rank() == 4 && x.size(3) % 2 == 0, ShapeError, "rope: x is ", x.shape(),
            "; expected (B, T, H, D) with an even D");
  CLS_CHECK(out.shape() == x.shape(), ShapeError, "rope: x is ", x.shape(), " and out is ",
            out.shape());
  CLS_CHECK(out.last_is_dense(), ShapeError, "rope: out has strides ", out.strides(),
            "; expected a dense last dimension");
  CLS_CHECK(positions.dtype() == Dtype::kI32, DtypeError, "rope: positions are ", positions.dtype(),
            "; expected i32");
  CLS_CHECK(positions.rank() == 2 && positions.size(1) == x.size(1) &&
                (positions.size(0) == x.size(0) || positions.size(0) == 1),
            ShapeError, "rope: positions are ", positions.shape(), " for x ", x.shape());
  CLS_CHECK(table.cos.rank() == 2 && table.cos.size(1) == x.size(3) / 2 &&
                table.sin.shape() == table.cos.shape(),
            ShapeError, "rope: the table is ", table.cos.shape(), " for a head of ", x.size(3));
  if (positions.device().kind == DeviceKind::kCpu) {
    check_positions(positions, table.cos.size(0));
  }
  if (x.numel() == 0) {
    return;
  }
  const Dtype wide = x.dtype() == Dtype::kF64 ? Dtype::kF64 : Dtype::kF32;
  rope_kernels().run(x.device(), x.dtype(), x.last_is_dense() ? x : x.contiguous(),
                     positions.to(x.device()).expand({x.size(0), x.size(1)}),
                     table.cos.to(wide).to(x.device()), table.sin.to(wide).to(x.device()), out,
                     sign);
}

}  // namespace

void rope_into(const Tensor& x_BTHD,
               const Tensor& positions_BT,
               const RopeTable& table,
               Tensor& out_BTHD) {
  rotate(x_BTHD, positions_BT, table, out_BTHD, 1);
}

void rope_backward_into(const Tensor& dy_BTHD,
                        const Tensor& positions_BT,
                        const RopeTable& table,
                        Tensor& out_BTHD) {
  rotate(dy_BTHD, positions_BT, table, out_BTHD, -1);
}

Tensor rope(const Tensor& x_BTHD, const Tensor& positions_BT, const RopeTable& table) {
  Tensor y = Tensor::empty(x_BTHD.shape(), x_BTHD.dtype(), x_BTHD.device());
  rotate(x_BTHD, positions_BT, table, y, 1);
  return y;
}

Tensor rope_backward(const Tensor& dy_BTHD, const Tensor& positions_BT, const RopeTable& table) {
  Tensor dx = Tensor::empty(dy_BTHD.shape(), dy_BTHD.dtype(), dy_BTHD.device());
  rotate(dy_BTHD, positions_BT, table, dx, -1);
  return dx;
}

}  // namespace clausius::ops
