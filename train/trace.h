// SPDX-License-Identifier: Apache-2.0
// Traces for chrome://tracing: what a step spent its time on, and that gradients were reduced while backward ran.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "train/gradient_reducer.h"

namespace clausius {

/// Collects spans of one rank and writes them as trace events. Costs two clock reads a span.
class Trace {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Trace(int rank) : rank_(rank), origin_(Clock::now()) {}
  void span(std::string_view name,
            std::string_view lane,
            Clock::time_point begin,
            Clock::time_point end);
  void buckets(const std::vector<BucketTrace>& traces);
  /// Errors: IoError.
  void write(const std::filesystem::path& file) const;

 private:
  struct Span {
    std::string name;
    std::string lane;
    double begin_us = 0;
    double length_us = 0;
  };
  int rank_;
  Clock::time_point origin_;
  std::vector<Span> spans_;
};

}  // namespace clausius
