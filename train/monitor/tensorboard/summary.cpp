// SPDX-License-Identifier: Apache-2.0
// Field numbers of Summary and what it holds.
#include "train/monitor/tensorboard/summary.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

namespace clausius {
namespace {

// Each bucket holds its limit, and what is above the limit before.
constexpr std::array<double, 30> kBucketLimits = [] {
  std::array<double, 30> limits{};
  for (std::size_t i = 0; i < limits.size(); ++i) {
    limits[i] = static_cast<double>(i + 1) / static_cast<double>(limits.size());
  }
  return limits;
}();

std::size_t bucket_of(double share) {
  return static_cast<std::size_t>(
      std::lower_bound(kBucketLimits.begin(), kBucketLimits.end(), share) - kBucketLimits.begin());
}

// Summary.Value
constexpr int kTag = 1;
constexpr int kSimpleValue = 2;
constexpr int kImage = 4;
constexpr int kHistogram = 5;
constexpr int kTensor = 8;
constexpr int kMetadata = 9;

// HParamsPluginData
constexpr int kSessionStart = 3;
constexpr int kSessionEnd = 4;

constexpr int kDataFloat = 1;   // DataType.DT_FLOAT
constexpr int kDataString = 7;  // DataType.DT_STRING

// A TensorProto's type and one-dimensional shape.
ProtoMessage tensor(int type, std::int64_t size) {
  ProtoMessage shape;
  shape.message(2, ProtoMessage().integer(1, size));
  return ProtoMessage().integer(1, type).message(2, shape);
}

ProtoMessage metadata(std::string_view plugin, std::string_view content) {
  return ProtoMessage().message(1, ProtoMessage().bytes(1, plugin).bytes(2, content));
}

// google.protobuf.Value
ProtoMessage any_value(const Json& value) {
  if (value.is_flag()) {
    return ProtoMessage().integer(4, value.flag() ? 1 : 0);
  }
  if (value.is_number()) {
    return ProtoMessage().real(2, value.number());
  }
  return ProtoMessage().bytes(3, value.text());
}

}  // namespace

void Summary::scalar(std::string_view tag, double value) {
  values_.message(1,
                  ProtoMessage().bytes(kTag, tag).real32(kSimpleValue, static_cast<float>(value)));
}

void Summary::histogram(std::string_view tag, std::span<const double> shares) {
  std::vector<double> known;
  for (const double share : shares) {
    if (std::isfinite(share)) {
      known.push_back(std::clamp(share, 0.0, 1.0));
    }
  }
  if (known.empty()) {
    return;
  }
  std::sort(known.begin(), known.end());
  // From the first to the last bucket that holds something: readers take least and most for the outer edges.
  const std::size_t first = bucket_of(known.front());
  const std::size_t buckets = bucket_of(known.back()) - first + 1;
  std::vector<double> counts(buckets, 0.0);
  double sum = 0;
  double sum_squares = 0;
  for (const double share : known) {
    ++counts[bucket_of(share) - first];
    sum += share;
    sum_squares += share * share;
  }
  ProtoMessage histogram;
  histogram.real(1, known.front()).real(2, known.back());
  histogram.real(3, static_cast<double>(known.size())).real(4, sum).real(5, sum_squares);
  histogram.reals(6, std::span(kBucketLimits).subspan(first, buckets)).reals(7, counts);
  value(tag, kHistogram, histogram);
}

void Summary::image(std::string_view tag, const Raster& raster) {
  constexpr int kRgb = 3;
  ProtoMessage image;
  image.integer(1, raster.height()).integer(2, raster.width()).integer(3, kRgb);
  image.bytes(4, encode_png(raster));
  value(tag, kImage, image);
}

void Summary::text(std::string_view tag, std::string_view markdown) {
  ProtoMessage content = tensor(kDataString, 1);
  content.bytes(8, markdown);
  values_.message(1, ProtoMessage()
                         .bytes(kTag, tag)
                         .message(kTensor, content)
                         .message(kMetadata, metadata("text", "")));
}

void Summary::session_start(const Json::Object& hparams, double wall_time) {
  ProtoMessage start;
  for (const auto& [name, setting] : hparams) {
    start.message(1, ProtoMessage().bytes(1, name).message(2, any_value(setting)));
  }
  start.real(5, wall_time);
  hparams_record("_hparams_/session_start_info", kSessionStart, start);
}

void Summary::session_end(double wall_time) {
  constexpr int kSuccess = 1;
  hparams_record("_hparams_/session_end_info", kSessionEnd,
                 ProtoMessage().integer(1, kSuccess).real(2, wall_time));
}

void Summary::value(std::string_view tag, int field, const ProtoMessage& content) {
  values_.message(1, ProtoMessage().bytes(kTag, tag).message(field, content));
}

// The content is in the metadata; the value itself is an empty tensor.
void Summary::hparams_record(std::string_view tag, int field, const ProtoMessage& content) {
  const ProtoMessage data = ProtoMessage().integer(1, 0).message(field, content);
  values_.message(1, ProtoMessage()
                         .bytes(kTag, tag)
                         .message(kTensor, tensor(kDataFloat, 0))
                         .message(kMetadata, metadata("hparams", data.encoded())));
}

}  // namespace clausius
