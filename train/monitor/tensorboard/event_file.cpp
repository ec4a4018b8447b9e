// SPDX-License-Identifier: Apache-2.0
// Names of event files, and the Event message.
#include "train/monitor/tensorboard/event_file.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <fcntl.h>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <unistd.h>

#include <fmt/format.h>

#include "train/monitor/tensorboard/record.h"

namespace clausius {
namespace {

constexpr std::string_view kPrefix = "events.out.tfevents.";

// Event
constexpr int kWallTime = 1;
constexpr int kStep = 2;
constexpr int kFileVersion = 3;
constexpr int kSummary = 5;
constexpr int kSessionLog = 7;

// Seconds that put the new file behind all others, also behind one of this very second.
std::int64_t free_second(const std::filesystem::path& directory) {
  auto seconds = static_cast<std::int64_t>(wall_time_now());
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    std::int64_t taken = 0;
    if (name.starts_with(kPrefix) &&
        std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), taken).ec ==
            std::errc()) {
      seconds = std::max(seconds, taken + 1);
    }
  }
  return seconds;
}

std::string host_name() {
  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  std::string name(host.data());
  std::replace(name.begin(), name.end(), '/', '_');
  return name;
}

}  // namespace

double wall_time_now() {
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  return now.count();
}

EventFile::EventFile(const std::filesystem::path& directory, std::int64_t first_step)
    : file_(directory /
                fmt::format(
                    "{}{:010d}.{}.{}.0", kPrefix, free_second(directory), host_name(), getpid()),
            O_WRONLY | O_CREAT | O_EXCL | O_APPEND) {
  write_event(ProtoMessage().real(kWallTime, wall_time_now()).bytes(kFileVersion, "brain.Event:2"));
  constexpr int kStart = 1;  // SessionLog.START
  write_event(ProtoMessage()
                  .real(kWallTime, wall_time_now())
                  .integer(kStep, first_step)
                  .message(kSessionLog, ProtoMessage().integer(1, kStart)));
}

void EventFile::write(std::int64_t step, const Summary& summary) {
  if (summary.empty()) {
    return;
  }
  write_event(ProtoMessage()
                  .real(kWallTime, wall_time_now())
                  .integer(kStep, step)
                  .message(kSummary, summary.message()));
}

void EventFile::write_event(const ProtoMessage& event) {
  const std::string record = framed_record(event.encoded());
  file_.write(std::as_bytes(std::span(record)));
}

}  // namespace clausius
