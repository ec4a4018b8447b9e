// SPDX-License-Identifier: Apache-2.0
// Embedding: checks, allocation, dispatch.
#include "core/ops/embedding/embedding.h"

#include <utility>

#include "core/ops/accumulate/accumulate.h"
#include "core/ops/embedding/embedding_reference.h"
#include "core/ops/row_checks.h"

namespace clausius::ops {

EmbeddingForwardTable& embedding_forward_kernels() {
  static EmbeddingForwardTable table("embedding_forward", embedding_forward_reference<double>,
                                     embedding_forward_reference<float>);
  return table;
}

EmbeddingBackwardTable& embedding_backward_kernels() {
  static EmbeddingBackwardTable table("embedding_backward", embedding_backward_reference<double>,
                                      embedding_backward_reference<float>);
  return table;
}

namespace {
// The ids as a dense list on the table's device, each inside the vocabulary where they come from the host.
Tensor checked_tokens(const Tensor& tokens, std::int64_t vocabulary, Device device) {
  CLS_CHECK(tokens.dtype() == Dtype::kI32, DtypeError, "embedding: tokens are ", tokens.dtype(),
            "; expected i32");
  Tensor list = tokens.contiguous().reshape({tokens.numel()});
  if (tokens.device().kind == DeviceKind::kCpu) {
    const std::span<const std::int32_t> ids = std::as_const(list).span<std::int32_t>();
    for (std::size_t n = 0; n < ids.size(); ++n) {
      CLS_CHECK(ids[n] >= 0 && ids[n] < vocabulary, DataError, "embedding: token id ", ids[n],
                " at position ", n, " is outside the vocabulary of ", vocabulary,
                "; was the data tokenized for another model?");
    }
  }
  return list.to(device);
}
}  // namespace

Tensor embedding(const Tensor& tokens, const Tensor& table_VM) {
  CLS_CHECK(is_floating(table_VM.dtype()), DtypeError, "embedding: the table is ",
            table_VM.dtype());
  CLS_CHECK(table_VM.rank() == 2, ShapeError, "embedding: the table is ", table_VM.shape(),
            "; expected (V, M)");
  const Tensor list = checked_tokens(tokens, table_VM.size(0), table_VM.device());
  Shape shape = tokens.shape();
  shape.push_back(table_VM.size(1));
  Tensor y = Tensor::empty(shape, table_VM.dtype(), table_VM.device());
  if (y.numel() > 0) {
    Tensor y_NM = y.reshape({list.size(0), table_VM.size(1)});
    embedding_forward_kernels().run(table_VM.device(), table_VM.dtype(), list,
                                    table_VM.contiguous(), y_NM);
  }
  return y;
}

void embedding_backward(const Tensor& dy,
                        const Tensor& tokens,
                        Tensor& dtable_VM,
                        bool accumulate) {
  detail::check_activation("embedding_backward", dy);
  CLS_CHECK(dtable_VM.rank() == 2 && dtable_VM.is_contiguous() &&
                dtable_VM.size(1) == dy.size(-1) && detail::leading_shape(dy) == tokens.shape(),
            ShapeError, "embedding_backward: dy is ", dy.shape(), ", tokens ", tokens.shape(),
            ", dtable ", dtable_VM.shape());
  const Dtype wide = detail::wide_dtype(dy.dtype());
  CLS_CHECK(dtable_VM.dtype() == wide || dtable_VM.dtype() == dy.dtype(), DtypeError,
            "embedding_backward: dtable is ", dtable_VM.dtype(), " for dy of ", dy.dtype());
  if (dtable_VM.dtype() != wide) {
    Tensor sums = Tensor::empty(dtable_VM.shape(), wide, dtable_VM.device());
    embedding_backward(dy, tokens, sums, false);
    accumulate ? ops::accumulate(sums, dtable_VM) : dtable_VM.copy_from(sums);
    return;
  }
  const Tensor list = checked_tokens(tokens, dtable_VM.size(0), dtable_VM.device());
  if (!accumulate) {
    dtable_VM.fill(0);
  }
  if (dy.numel() > 0) {
    embedding_backward_kernels().run(dy.device(), dy.dtype(), detail::rows_of(dy), list, dtable_VM);
  }
}

}  // namespace clausius::ops
