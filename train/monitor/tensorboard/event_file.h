// SPDX-License-Identifier: Apache-2.0
// One file of events, as TensorBoard finds and reads them.
#pragma once

#include <cstdint>
#include <filesystem>

#include "core/io/file.h"
#include "train/monitor/tensorboard/summary.h"

namespace clausius {

/// `events.out.tfevents.<seconds>.<host>.<pid>.0`, new, and in name order behind those of the directory: TensorBoard
/// reads the files of a run in that order. Each event is one write(2), so that a kill leaves at most one torn record, the
/// last, which readers pass over.
class EventFile {
 public:
  /// Makes the file and writes its version, and a session's start: from then on TensorBoard hides what earlier files say
  /// about `first_step` and later ones. Errors: IoError.
  EventFile(const std::filesystem::path& directory, std::int64_t first_step);

  /// Nothing for an empty summary.
  void write(std::int64_t step, const Summary& summary);

  [[nodiscard]] const std::filesystem::path& path() const { return file_.path(); }

 private:
  void write_event(const ProtoMessage& event);

  FileDescriptor file_;
};

/// Unix seconds, as events hold them.
[[nodiscard]] double wall_time_now();

}  // namespace clausius
