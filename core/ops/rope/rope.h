// SPDX-License-Identifier: Apache-2.0
// Rotary position embedding in the half-rotation form.
#pragma once

#include "core/kernel_table.h"
#include "core/tensor.h"

namespace clausius::ops {

/// cos and sin of position * theta^(-2 i / D), each [positions, D / 2], computed in double.
struct RopeTable {
  Tensor cos;
  Tensor sin;

  [[nodiscard]] RopeTable to(Device device) const {
    return {.cos = cos.to(device), .sin = sin.to(device)};
  }
};

/// Errors:  ShapeError when head_dim is odd; ConfigError when theta is not positive.
[[nodiscard]] RopeTable make_rope_table(std::int64_t max_positions,
                                        std::int64_t head_dim,
                                        double theta,
                                        Dtype dtype = Dtype::kF32);

/// Rotates each pair (x[i], x[i + D/2]) by the angle of its position: y[i] = x[i] cos - x[i + D/2]
/// sin, y[i + D/2] = x[i + D/2] cos + x[i] sin (the form of GPT-NeoX and of Llama in Hugging Face).
/// Shapes:  x_BTHD, positions_BT (i32; also [1, T] for all rows alike), table [positions, D/2] ->
/// y_BTHD Types:   x f32, bf16 (computed in f32) or f64; an f32 table serves all of them. Errors:
/// ShapeError; DtypeError; DataError naming a position outside the table, where positions are on the CPU (on a device such a token
/// becomes NaN). Positions and table that are not on x's device are copied there. Cost:    memory-bound. x
/// may be any view with a dense last dimension (q or k inside a fused projection). Source:  Su et
/// al. 2021, "RoFormer".
[[nodiscard]] Tensor rope(const Tensor& x_BTHD, const Tensor& positions_BT, const RopeTable& table);
/// The inverse rotation of dy.
[[nodiscard]] Tensor rope_backward(const Tensor& dy_BTHD,
                                   const Tensor& positions_BT,
                                   const RopeTable& table);

/// The same into `out`, a view of x's shape with a dense last dimension; it may be x itself.
void rope_into(const Tensor& x_BTHD,
               const Tensor& positions_BT,
               const RopeTable& table,
               Tensor& out_BTHD);
void rope_backward_into(const Tensor& dy_BTHD,
                        const Tensor& positions_BT,
                        const RopeTable& table,
                        Tensor& out_BTHD);

/// `sign` 1 rotates, -1 rotates back. x and y have any strides but a dense last dimension;
/// positions_BT has x's B and T, any strides.
using RopeKernelTable = KernelTable<void(const Tensor& x,
                                         const Tensor& positions,
                                         const Tensor& cos,
                                         const Tensor& sin,
                                         Tensor& y,
                                         int sign)>;
RopeKernelTable& rope_kernels();

}  // namespace clausius::ops
