// SPDX-License-Identifier: Apache-2.0
// Rows of a table picked by token id, and the table's gradient.
#pragma once

#include "core/kernel_table.h"
#include "core/tensor.h"

namespace clausius::ops {

/// y[.., :] = table[token, :].
/// Shapes:  tokens [..] (i32), table_VM -> y [.., M], of the table's type.
/// Errors:  DataError naming a token outside the vocabulary and the vocabulary size, where the tokens are on the host (on a
///          device, where a check would wait for it, such a token gives a row of NaN and no gradient); ShapeError; DtypeError.
/// Cost:    memory-bound.
[[nodiscard]] Tensor embedding(const Tensor& tokens, const Tensor& table_VM);

/// dtable[v, :] = sum of dy over the positions of token v, in order of position: the same bits for any number of threads (on a
/// CUDA device by pieces of 32 sorted positions: the same bits every run). With `accumulate` the sums are added to dtable,
/// else every row is written.
/// Shapes:  dy [.., M], tokens [..] -> dtable_VM
/// Types:   dtable is f32 when dy is f32 or bf16, f64 when dy is f64.
/// Cost:    memory-bound: one sort of the tokens, one read of dy, one pass over the rows that occur.
void embedding_backward(const Tensor& dy, const Tensor& tokens, Tensor& dtable_VM, bool accumulate);

/// tokens [N], table [V, M], y [N, M] dense.
using EmbeddingForwardTable =
    KernelTable<void(const Tensor& tokens, const Tensor& table, Tensor& y)>;
EmbeddingForwardTable& embedding_forward_kernels();
/// dy [N, M], tokens [N], dtable [V, M] dense; always adds to dtable.
using EmbeddingBackwardTable =
    KernelTable<void(const Tensor& dy, const Tensor& tokens, Tensor& dtable)>;
EmbeddingBackwardTable& embedding_backward_kernels();

}  // namespace clausius::ops
