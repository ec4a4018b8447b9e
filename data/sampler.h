// SPDX-License-Identifier: Apache-2.0
// Sampler: which row is the i-th sample of a run.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace clausius {

/// Place of a sample: a part of the mixture and a row in it.
struct SamplePlace {
  std::int64_t part = 0;
  std::int64_t row = 0;
};

/// An endless sequence over the rows of one or more parts, epoch after epoch: every row once an epoch, in a new
/// shuffled order each time, or in order.
/// Value:   a pure function of (rows, weights, shuffle, seed, sample): ranks, threads and micro-batches never matter.
/// Cost:    no memory of epoch size.
class Sampler {
 public:
  /// The parts laid end to end and read as one.
  /// Errors:  InternalError for a part without rows.
  [[nodiscard]] static Sampler joined(std::span<const std::int64_t> rows,
                                      bool shuffle,
                                      std::uint64_t seed,
                                      std::string_view stream);
  /// Parts take turns, spread as evenly as their weights allow, and each has epochs of its own. Weights are relative
  /// and honoured to 2^-14.
  /// Errors:  DataError for a weight below 2^-14 of the sum.
  [[nodiscard]] static Sampler mixture(std::span<const std::int64_t> rows,
                                       std::span<const double> weights,
                                       bool shuffle,
                                       std::uint64_t seed,
                                       std::string_view stream);

  /// Rows of all parts together. Of a mixture: the samples that would be an epoch if the parts were joined.
  [[nodiscard]] std::int64_t epoch_size() const { return starts_.back(); }
  [[nodiscard]] SamplePlace at(std::int64_t sample) const;

 private:
  // One turn of a mixture: the part, and how many turns it had before in the cycle.
  struct Turn {
    std::int32_t part;
    std::int32_t earlier;
  };
  Sampler(std::span<const std::int64_t> rows,
          bool shuffle,
          std::uint64_t seed,
          std::string_view stream);
  void plan_turns(std::span<const double> weights);
  [[nodiscard]] std::int64_t rows_of(std::int64_t part) const;
  // The draw-th of `rows` in their endless order; `stream` tells parts apart.
  [[nodiscard]] std::int64_t row_of(std::int64_t rows,
                                    std::int64_t draw,
                                    std::uint32_t stream) const;

  // Where each part starts when they are joined, then the number of rows.
  std::vector<std::int64_t> starts_{0};
  // Mixtures only.
  std::vector<Turn> cycle_;
  std::vector<std::int64_t> turns_;
  bool shuffle_;
  std::uint64_t seed_;
  std::uint32_t stream_;
};

}  // namespace clausius
