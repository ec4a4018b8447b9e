// SPDX-License-Identifier: Apache-2.0
// The batches of the next step, on their way to the device while the current step runs.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <vector>

#include "core/device_backend.h"
#include "data/loader.h"
#include "data/objective.h"

namespace clausius {

class BatchFeed {
 public:
  /// All must outlive the feed.
  BatchFeed(Loader& loader, const Objective& objective, Device device)
      : loader_(loader), objective_(objective), device_(device) {}

  /// Step `number` as the objective wants it; nothing after the end of the data. Errors: those of the data.
  [[nodiscard]] std::optional<LoadedStep> take(std::int64_t number);
  /// Reads ahead what take(number) will give, and starts its way to a device; an error is thrown there. Nothing to do on the CPU.
  void prepare(std::int64_t number);

 private:
  struct Part {
    std::size_t batch;
    Tensor Batch::*member;
    std::unique_ptr<DeviceUpload> upload;
  };
  [[nodiscard]] std::optional<LoadedStep> load(std::int64_t number);

  Loader& loader_;
  const Objective& objective_;
  Device device_;
  bool ahead_ = false;
  std::optional<LoadedStep> next_;
  std::vector<Part> parts_;
  std::exception_ptr failure_;
};

}  // namespace clausius
