// SPDX-License-Identifier: Apache-2.0
// The trace event format.
#include "train/trace.h"

#include <fmt/format.h>

#include "core/io/atomic_file.h"
#include "core/io/json.h"

namespace clausius {

void Trace::span(std::string_view name,
                 std::string_view lane,
                 Clock::time_point begin,
                 Clock::time_point end) {
  const std::chrono::duration<double, std::micro> start = begin - origin_;
  const std::chrono::duration<double, std::micro> length = end - begin;
  spans_.push_back({std::string(name), std::string(lane), start.count(), length.count()});
}

void Trace::buckets(const std::vector<BucketTrace>& traces) {
  for (const BucketTrace& bucket : traces) {
    if (bucket.times.begin != Clock::time_point{}) {
      span(fmt::format("bucket {} ({} elements)", bucket.bucket, bucket.elements), "all-reduce",
           bucket.times.begin, bucket.times.end);
    }
  }
}

void Trace::write(const std::filesystem::path& file) const {
  Json events{Json::Array{}};
  for (const Span& span : spans_) {
    Json event;
    event.set("name", span.name);
    event.set("ph", "X");
    event.set("ts", span.begin_us);
    event.set("dur", span.length_us);
    event.set("pid", rank_);
    event.set("tid", span.lane);
    events.push(event);
  }
  Json document;
  document.set("traceEvents", events);
  write_file_atomically(file, document.dump());
}

}  // namespace clausius
