// SPDX-License-Identifier: Apache-2.0
// Epoch order and mixture turns.
#include "data/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/checked.h"
#include "core/error.h"
#include "data/permutation.h"

namespace clausius {
namespace {
constexpr std::int64_t kCycle = std::int64_t{1} << 14;
}  // namespace

Sampler::Sampler(std::span<const std::int64_t> rows,
                 bool shuffle,
                 std::uint64_t seed,
                 std::string_view stream)
    : shuffle_(shuffle), seed_(seed), stream_(stream_of(stream)) {
  for (const std::int64_t count : rows) {
    CLS_CHECK(count >= 1, InternalError, "a sampler over a part of ", count, " rows");
    starts_.push_back(starts_.back() + count);
  }
}

Sampler Sampler::joined(std::span<const std::int64_t> rows,
                        bool shuffle,
                        std::uint64_t seed,
                        std::string_view stream) {
  return {rows, shuffle, seed, stream};
}

Sampler Sampler::mixture(std::span<const std::int64_t> rows,
                         std::span<const double> weights,
                         bool shuffle,
                         std::uint64_t seed,
                         std::string_view stream) {
  Sampler sampler(rows, shuffle, seed, stream);
  sampler.plan_turns(weights);
  return sampler;
}

void Sampler::plan_turns(std::span<const double> weights) {
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (std::size_t part = 0; part < weights.size(); ++part) {
    CLS_CHECK(std::isfinite(weights[part]) && weights[part] * static_cast<double>(kCycle) >= total,
              DataError, "weight ", weights[part], " of part ", part,
              " of a mixture whose weights add up to ", total, "; expected at least ",
              total / static_cast<double>(kCycle));
  }
  // Each turn goes to the part that is furthest behind its share.
  turns_.assign(weights.size(), 0);
  cycle_.reserve(static_cast<std::size_t>(kCycle));
  for (std::int64_t turn = 1; turn <= kCycle; ++turn) {
    std::size_t next = 0;
    double furthest = -1.0;
    for (std::size_t part = 0; part < weights.size(); ++part) {
      const double behind =
          static_cast<double>(turn) * weights[part] / total - static_cast<double>(turns_[part]);
      if (behind > furthest) {
        furthest = behind;
        next = part;
      }
    }
    cycle_.push_back({narrow<std::int32_t>(next), narrow<std::int32_t>(turns_[next]++)});
  }
}

std::int64_t Sampler::rows_of(std::int64_t part) const {
  const auto p = static_cast<std::size_t>(part);
  return starts_[p + 1] - starts_[p];
}

SamplePlace Sampler::at(std::int64_t sample) const {
  CLS_ASSERT(sample >= 0);
  if (cycle_.empty()) {
    const std::int64_t row = row_of(epoch_size(), sample, stream_);
    const std::int64_t part = std::ranges::upper_bound(starts_, row) - starts_.begin() - 1;
    return {part, row - starts_[static_cast<std::size_t>(part)]};
  }
  const Turn& turn = cycle_[static_cast<std::size_t>(sample % kCycle)];
  const std::int64_t draw =
      sample / kCycle * turns_[static_cast<std::size_t>(turn.part)] + turn.earlier;
  // The part enters the stream, so that equal parts are not read in the same order.
  return {turn.part,
          row_of(rows_of(turn.part), draw, stream_ + static_cast<std::uint32_t>(turn.part))};
}

std::int64_t Sampler::row_of(std::int64_t rows, std::int64_t draw, std::uint32_t stream) const {
  const std::int64_t place = draw % rows;
  if (!shuffle_) {
    return place;
  }
  return Permutation(
      rows, {.seed = seed_, .stream = stream, .step = narrow<std::uint32_t>(draw / rows)})(place);
}

}  // namespace clausius
