// SPDX-License-Identifier: Apache-2.0
// TensorBoard's Summary message: the tagged values of one event.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/io/json.h"
#include "core/io/png.h"
#include "train/monitor/tensorboard/proto_message.h"

namespace clausius {

/// A tag may hold one kind of value only. Tags with a `/` are shown in groups.
/// Source:  tensorboard/compat/proto/{summary,histogram,tensor}.proto and the plugins' metadata.
class Summary {
 public:
  void scalar(std::string_view tag, double value);
  /// The distribution of `shares`, each clamped to 0..1, in buckets of 1/30. Values that are not finite are left out;
  /// without any that is, nothing is written.
  void histogram(std::string_view tag, std::span<const double> shares);
  void image(std::string_view tag, const Raster& raster);
  /// Shown as Markdown.
  void text(std::string_view tag, std::string_view markdown);
  /// What the hparams page compares runs by: numbers, flags and texts under dotted names.
  void session_start(const Json::Object& hparams, double wall_time);
  void session_end(double wall_time);

  [[nodiscard]] bool empty() const { return values_.encoded().empty(); }
  [[nodiscard]] const ProtoMessage& message() const { return values_; }

 private:
  void value(std::string_view tag, int field, const ProtoMessage& content);
  void hparams_record(std::string_view tag, int field, const ProtoMessage& content);

  ProtoMessage values_;
};

}  // namespace clausius
