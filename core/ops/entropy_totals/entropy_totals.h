// SPDX-License-Identifier: Apache-2.0
// Row entropies added up to heads, where the rows are.
#pragma once

#include "core/kernel_table.h"
#include "core/tensor.h"

// Legend: B batch, H heads, T tokens.
namespace clausius::ops {

/// sums_H3 += for each head: the entropies of its rows, ln of the outcomes of its rows, its rows. max_H = max(max_H, the head's
/// largest logit). Rows with no outcome count nowhere.
/// Shapes:  entropy_BHT, max_logit_BH floating; outcomes_BT i32; sums_H3 [H, 3] and max_H [H] f64, all on one device
/// Value:   sums in f64, in an order that depends on the shapes alone.
/// Errors:  ShapeError, DtypeError.
/// Cost:    memory-bound, one reading; the host does not wait.
void entropy_totals(const Tensor& entropy_BHT,
                    const Tensor& outcomes_BT,
                    const Tensor& max_logit_BH,
                    Tensor& sums_H3,
                    Tensor& max_H);

/// Kernels get dense tensors, at least one row.
using EntropyTotalsKernels = KernelTable<void(const Tensor& entropy_BHT,
                                              const Tensor& outcomes_BT,
                                              const Tensor& max_logit_BH,
                                              Tensor& sums_H3,
                                              Tensor& max_H)>;
EntropyTotalsKernels& entropy_totals_kernels();

}  // namespace clausius::ops
