// SPDX-License-Identifier: Apache-2.0
// Dropout whose mask is a pure function of seed, stream, step, sample and element.
#pragma once

#include "core/kernel_table.h"
#include "core/random.h"
#include "core/tensor.h"

namespace clausius::ops {

/// y = x / (1 - p) where the element is kept, 0 where it is dropped. Element e (counted within its
/// sample) of sample s is dropped when word e of the stream at sample s is below p 2^32: no mask is
/// stored, and batch split, rank and thread do not matter. Shapes:  x [B, ..], samples_B (i64,
/// global sample ids; copied to x's device where they are not) -> y of x's shape. Errors:  ConfigError unless 0 <= p < 1; ShapeError,
/// DtypeError for samples. Cost:    memory-bound and one Philox block for four elements; p = 0
/// returns x. Source:  Srivastava et al. 2014; the generator is Philox 4x32-10.
[[nodiscard]] Tensor dropout(const Tensor& x,
                             double p,
                             const RandomStream& stream,
                             const Tensor& samples_B);
/// dx = dy / (1 - p) on the elements that dropout kept: the same function, named for the rule.
[[nodiscard]] Tensor dropout_backward(const Tensor& dy,
                                      double p,
                                      const RandomStream& stream,
                                      const Tensor& samples_B);

/// x and y [B, N] dense.
using DropoutTable = KernelTable<void(
    const Tensor& x, const Tensor& samples, Tensor& y, double p, const RandomStream& stream)>;
DropoutTable& dropout_kernels();

}  // namespace clausius::ops
