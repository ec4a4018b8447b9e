// SPDX-License-Identifier: Apache-2.0
// Masks to key intervals.
#include "core/ops/attention/attention_mask.h"

#include <algorithm>
#include <limits>
#include <span>

#include "core/checked.h"
#include "core/dry_run.h"
#include "core/error.h"

namespace clausius::ops {
namespace {

void check_integers(const Tensor& tensor, std::string_view name, std::int64_t count) {
  CLS_CHECK(tensor.dtype() == Dtype::kI32, DtypeError, name, " is ", tensor.dtype(),
            "; expected i32");
  CLS_CHECK(tensor.rank() == 1 && tensor.is_contiguous(), ShapeError, name, " has shape ",
            tensor.shape(), "; expected one dense dimension");
  CLS_CHECK(count < 0 || tensor.numel() == count, ShapeError, name, " has ", tensor.numel(),
            " elements; expected ", count);
}

void check_documents(const AttentionMask& mask, std::int64_t B, std::int64_t T, std::int64_t S) {
  check_integers(mask.cu_seqlens, "cu_seqlens", -1);
  CLS_CHECK(S == T && mask.query_offset == 0, ShapeError,
            "documents (cu_seqlens) need as many keys as queries and query_offset 0; got ", T,
            " queries, ", S, " keys, query_offset ", mask.query_offset);
  const auto borders = mask.cu_seqlens.span<std::int32_t>();
  CLS_CHECK(!borders.empty() && borders.front() == 0 && borders.back() == B * T, ShapeError,
            "cu_seqlens must run from 0 to B T = ", B * T);
  CLS_CHECK(std::ranges::is_sorted(borders), ShapeError, "cu_seqlens must ascend");
  for (std::int64_t b = 1; b < B; ++b) {
    CLS_CHECK(std::ranges::binary_search(borders, narrow<std::int32_t>(b * T)), ShapeError,
              "a document of cu_seqlens crosses the end of row ", b - 1, " (token ", b * T,
              " is no border)");
  }
}

void check_mask(const AttentionMask& mask, std::int64_t B, std::int64_t T, std::int64_t S) {
  CLS_CHECK(!mask.block_list.defined(), UnsupportedError,
            "block_list: block-sparse attention is not built yet");
  CLS_CHECK(!mask.window || *mask.window >= 1, ConfigError, "window ", mask.window.value_or(0),
            "; expected at least 1");
  CLS_CHECK(mask.query_offset >= 0, ConfigError, "query_offset ", mask.query_offset,
            "; expected 0 or more");
  CLS_CHECK(std::max({B * T, S, mask.query_offset + T}) < std::numeric_limits<std::int32_t>::max(),
            UnsupportedError, "more than 2^31 positions: B ", B, ", T ", T, ", S ", S,
            ", query_offset ", mask.query_offset);
  if (mask.cu_seqlens.defined()) {
    check_documents(mask, B, T, S);
  }
  for (const Tensor* bound : {&mask.documents.begin_BT, &mask.documents.end_BT}) {
    CLS_CHECK(!bound->defined() || (bound->shape() == Shape{B, T} && bound->is_contiguous() &&
                                    bound->dtype() == Dtype::kI32 && S == T &&
                                    mask.query_offset == 0 && !mask.cu_seqlens.defined()),
              ShapeError, "documents: bounds are ", bound->dtype(), ' ', bound->shape(),
              "; expected dense i32 [B, T] = ", Shape{B, T}, ", as many keys (", S,
              ") as queries, query_offset 0, and no cu_seqlens beside them");
  }
  if (mask.key_lengths.defined()) {
    check_integers(mask.key_lengths, "key_lengths", B);
    for (const std::int32_t length : mask.key_lengths.span<std::int32_t>()) {
      CLS_CHECK(0 <= length && length <= S, ShapeError, "key length ", length, " outside [0, ", S,
                "]");
    }
  }
}

AttentionBounds bounds_on(
    Device device, const AttentionMask& mask, std::int64_t B, std::int64_t T, std::int64_t S) {
  AttentionBounds bounds;
  if (mask.cu_seqlens.defined() || mask.key_lengths.defined()) {
    AttentionMask here = mask;
    for (Tensor* tensor :
         {&here.cu_seqlens, &here.key_lengths, &here.documents.begin_BT, &here.documents.end_BT}) {
      *tensor = tensor->defined() ? tensor->to(kCpu) : *tensor;
    }
    bounds = attention_bounds(here, B, T, S);
    return {bounds.begin_BT.to(device), bounds.end_BT.to(device)};
  }
  check_mask(mask, B, T, S);
  bounds = {Tensor::empty({B, T}, Dtype::kI32, device), Tensor::empty({B, T}, Dtype::kI32, device)};
  if (B * T > 0 && !in_dry_run()) {
    CLS_CHECK(attention_mask_kernels().bounds != nullptr, UnsupportedError, "no ", device.kind,
              " kernel for the bounds of a mask");
    attention_mask_kernels().bounds(mask, S, bounds.begin_BT, bounds.end_BT);
  }
  return bounds;
}

}  // namespace

AttentionMaskKernels& attention_mask_kernels() {
  static AttentionMaskKernels kernels{};
  return kernels;
}

AttentionBounds attention_bounds(
    const AttentionMask& mask, std::int64_t B, std::int64_t T, std::int64_t S, Device device) {
  if (device.kind != DeviceKind::kCpu) {
    return bounds_on(device, mask, B, T, S);
  }
  check_mask(mask, B, T, S);
  AttentionBounds bounds{Tensor::empty({B, T}, Dtype::kI32), Tensor::empty({B, T}, Dtype::kI32)};
  const auto borders = mask.cu_seqlens.defined() ? mask.cu_seqlens.span<std::int32_t>()
                                                 : std::span<const std::int32_t>();
  std::size_t document = 0;
  for (std::int64_t b = 0; b < B; ++b) {
    const std::int64_t length =
        mask.key_lengths.defined()
            ? mask.key_lengths.span<std::int32_t>()[static_cast<std::size_t>(b)]
            : S;
    for (std::int64_t i = 0; i < T; ++i) {
      KeyInterval keys{0, length};
      if (!borders.empty()) {
        while (borders[document + 1] <= b * T + i) {
          ++document;
        }
        keys = {borders[document] - b * T, std::min(length, borders[document + 1] - b * T)};
      } else if (mask.documents.begin_BT.defined()) {
        keys = {
            mask.documents.begin_BT.data<std::int32_t>()[b * T + i],
            std::min<std::int64_t>(length, mask.documents.end_BT.data<std::int32_t>()[b * T + i])};
      }
      keys = keys.seen_from(mask.query_offset + i, mask.causal, mask.window.value_or(0));
      bounds.begin_BT.data<std::int32_t>()[b * T + i] = narrow<std::int32_t>(keys.begin);
      bounds.end_BT.data<std::int32_t>()[b * T + i] = narrow<std::int32_t>(keys.end);
    }
  }
  return bounds;
}

Tensor attention_visible_counts(const AttentionMask& mask,
                                std::int64_t B,
                                std::int64_t T,
                                std::int64_t S,
                                Device device,
                                std::int32_t sinks) {
  const AttentionBounds bounds = attention_bounds(mask, B, T, S, device);
  Tensor counts = Tensor::empty({B, T}, Dtype::kI32, device);
  if (device.kind != DeviceKind::kCpu) {
    if (B * T > 0 && !in_dry_run()) {
      attention_mask_kernels().counts(bounds, sinks, counts);
    }
    return counts;
  }
  for (std::int64_t row = 0; row < B * T; ++row) {
    counts.data<std::int32_t>()[row] =
        bounds.end_BT.data<std::int32_t>()[row] - bounds.begin_BT.data<std::int32_t>()[row] + sinks;
  }
  return counts;
}

}  // namespace clausius::ops
