// SPDX-License-Identifier: Apache-2.0
// Reading of records and messages, byte by byte.
#include "tests/support/event_reader.h"

#include <algorithm>
#include <bit>
#include <stdexcept>

#include "core/io/file.h"

namespace clausius::test {
namespace {

class Bytes {
 public:
  explicit Bytes(std::string_view rest) : rest_(rest) {}
  [[nodiscard]] std::size_t left() const { return rest_.size(); }
  std::string_view take(std::uint64_t count) {
    if (count > rest_.size()) {
      throw std::runtime_error("ends early");
    }
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
  std::uint64_t word(std::uint64_t count) {
    std::uint64_t value = 0;
    int shift = 0;
    for (const char byte : take(count)) {
      value |= std::uint64_t{static_cast<unsigned char>(byte)} << shift;
      shift += 8;
    }
    return value;
  }
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      const std::uint64_t byte = word(1);
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        return value;
      }
    }
    throw std::runtime_error("a varint of more than ten bytes");
  }

 private:
  std::string_view rest_;
};

// Bit by bit, as the definition goes.
std::uint32_t masked_crc(std::string_view bytes) {
  std::uint32_t crc = ~0U;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) {
      crc = crc >> 1 ^ (crc % 2 == 1 ? 0x82f63b78U : 0U);
    }
  }
  crc = ~crc;
  return (crc >> 15 | crc << 17) + 0xa282ead8U;
}

Event read_event(std::string_view bytes) {
  Event event;
  for (const ProtoField& field : read_message(bytes)) {
    switch (field.number) {
      case 1:
        event.wall_time = field.real();
        break;
      case 2:
        event.step = static_cast<std::int64_t>(field.word);
        break;
      case 3:
        event.file_version = field.bytes;
        break;
      case 5:
        for (const ProtoField& value : read_message(field.bytes)) {
          std::vector<ProtoField> content = read_message(value.bytes);
          const std::string tag = only(content, 1).bytes;
          if (!event.values.emplace(tag, std::move(content)).second) {
            throw std::runtime_error("two values of tag " + tag);
          }
        }
        break;
      case 7:
        event.session_status = static_cast<std::int64_t>(only(read_message(field.bytes), 1).word);
        break;
      default:
        throw std::runtime_error("field " + std::to_string(field.number) + " of an event");
    }
  }
  return event;
}

}  // namespace

double ProtoField::real() const {
  return std::bit_cast<double>(word);
}

float ProtoField::real32() const {
  return std::bit_cast<float>(static_cast<std::uint32_t>(word));
}

std::vector<ProtoField> read_message(std::string_view bytes) {
  std::vector<ProtoField> fields;
  for (Bytes rest(bytes); rest.left() > 0;) {
    const std::uint64_t key = rest.varint();
    ProtoField field{.number = static_cast<int>(key >> 3), .wire = static_cast<int>(key & 7)};
    switch (field.wire) {
      case 0:
        field.word = rest.varint();
        break;
      case 1:
        field.word = rest.word(8);
        break;
      case 2:
        field.bytes = rest.take(rest.varint());
        break;
      case 5:
        field.word = rest.word(4);
        break;
      default:
        throw std::runtime_error("wire type " + std::to_string(field.wire));
    }
    fields.push_back(field);
  }
  return fields;
}

ProtoField only(const std::vector<ProtoField>& message, int number) {
  const auto wanted = [&](const ProtoField& field) { return field.number == number; };
  if (std::count_if(message.begin(), message.end(), wanted) != 1) {
    throw std::runtime_error("not one field " + std::to_string(number));
  }
  return *std::find_if(message.begin(), message.end(), wanted);
}

std::vector<double> packed_reals(const ProtoField& field) {
  std::vector<double> values;
  for (Bytes rest(field.bytes); rest.left() > 0;) {
    values.push_back(std::bit_cast<double>(rest.word(8)));
  }
  return values;
}

EventRecords read_events(const std::filesystem::path& file) {
  EventRecords records;
  const std::string content = read_file(file);
  Bytes rest(content);
  while (rest.left() > 0) {
    const std::string name = file.string() + ": record " + std::to_string(records.events.size());
    if (rest.left() < 12) {
      records.torn = true;
      return records;
    }
    const std::string_view head = rest.take(8);
    if (rest.word(4) != masked_crc(head)) {
      throw std::runtime_error(name + ": the checksum of its length is wrong");
    }
    const std::uint64_t length = Bytes(head).word(8);
    if (rest.left() < length + 4) {
      records.torn = true;
      return records;
    }
    const std::string_view data = rest.take(length);
    if (rest.word(4) != masked_crc(data)) {
      throw std::runtime_error(name + ": the checksum of its data is wrong");
    }
    records.events.push_back(read_event(data));
  }
  return records;
}

std::vector<std::filesystem::path> event_files(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().filename().string().find("tfevents") != std::string::npos) {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace clausius::test
