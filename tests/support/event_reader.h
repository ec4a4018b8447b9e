// SPDX-License-Identifier: Apache-2.0
// A reader of event files that shares nothing with the writer.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace clausius::test {

struct ProtoField {
  int number = 0;
  int wire = 0;            // 0 varint, 1 eight bytes, 2 bytes behind a length, 5 four bytes
  std::uint64_t word = 0;  // of 0, 1, 5
  std::string bytes{};     // of 2
  [[nodiscard]] double real() const;
  [[nodiscard]] float real32() const;
};

/// Errors: std::runtime_error for bytes that are no message.
[[nodiscard]] std::vector<ProtoField> read_message(std::string_view bytes);
/// The only field of that number. Errors: std::runtime_error for none or several.
[[nodiscard]] ProtoField only(const std::vector<ProtoField>& message, int number);
/// The doubles of a packed field.
[[nodiscard]] std::vector<double> packed_reals(const ProtoField& field);

struct Event {
  double wall_time = 0;
  std::int64_t step = 0;
  std::string file_version{};
  std::int64_t session_status = 0;  // 1: START
  std::map<std::string, std::vector<ProtoField>> values{};
};

struct EventRecords {
  std::vector<Event> events;
  bool torn = false;  // the file ends inside a record
};

/// Both checksums of every record are verified. Errors: std::runtime_error naming the record.
[[nodiscard]] EventRecords read_events(const std::filesystem::path& file);
/// Those of a directory, in name order.
[[nodiscard]] std::vector<std::filesystem::path> event_files(
    const std::filesystem::path& directory);

}  // namespace clausius::test
