// SPDX-License-Identifier: Apache-2.0
// Row entropies added up to heads, where the rows are.
#pragma once

#include <cstdint>

#include "core/kernel_table.h"
#include "core/tensor.h"

// Legend: B batch, H heads, T tokens, K sums.
namespace clausius::ops {

/// Columns of the sums of a head. A row *chooses* where it has two outcomes or more: with one, its entropy is 0 and its mass 1 whatever
/// the head does.
enum class HeadSum : std::uint8_t {
  kEntropy,       // nats
  kAttainable,    // ln of the outcomes
  kRows,          // rows with an outcome
  kChoosingRows,  // rows that choose
  kLowRows,       // of them, those with less than kLowEntropy
  kFloor,         // entropy_floor(spread, outcomes), over the rows whose spread is given
  kFloorRows,     // those rows
  kFirstMass,     // probability of the document's first token, over the rows that choose and see it
  kFirstRows,     // those rows
  kCount,
};
inline constexpr std::int64_t kHeadSums = static_cast<std::int64_t>(HeadSum::kCount);
inline constexpr double kLowEntropy = 0.01;

/// Entropies and largest logits of one layer, and what is known beside them.
struct ObservedRows {
  Tensor entropy_BHT;
  Tensor outcomes_BT;  // i32
  Tensor max_logit_BH;
  Tensor lengths_B{};   // i32: rows t >= length are padding; undefined: there is none
  Tensor spread_BHT{};  // of attention_probe, or undefined
  Tensor first_BHT{};   // of attention_probe, or undefined
};

/// sums_HK[h][HeadSum] += the sums over the rows of head h. max_H = max(max_H, the head's largest logit, padding included). Rows with
/// no outcome, and padding, count nowhere.
/// Shapes:  entropy_BHT, spread_BHT, first_BHT, max_logit_BH of one floating type; sums_HK [H, kHeadSums] and max_H [H] f64, all on
///          one device
/// Value:   sums in f64, in an order that depends on the shapes alone.
/// Errors:  ShapeError, DtypeError.
/// Cost:    memory-bound, one reading; the host does not wait.
void entropy_totals(const ObservedRows& rows, Tensor& sums_HK, Tensor& max_H);

/// Arguments: the members of ObservedRows in their order, dense, at least one row; sums, max. lengths, spread and first may be undefined.
using EntropyTotalsKernels = KernelTable<void(const Tensor&,
                                              const Tensor&,
                                              const Tensor&,
                                              const Tensor&,
                                              const Tensor&,
                                              const Tensor&,
                                              Tensor&,
                                              Tensor&)>;
EntropyTotalsKernels& entropy_totals_kernels();

}  // namespace clausius::ops
