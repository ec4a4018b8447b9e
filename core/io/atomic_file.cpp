// SPDX-License-Identifier: Apache-2.0
// Temporary names and the write, sync, rename, sync sequence.
#include "core/io/atomic_file.h"

#include <array>
#include <atomic>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>
#include <system_error>
#include <unistd.h>

#include "core/error.h"
#include "core/io/file.h"

namespace clausius {
namespace {

constexpr std::string_view kSuffix = ".tmp";

// The host's name without its dots, which separate the fields of a temporary name.
const std::string& host_name() {
  static const std::string name = [] {
    std::array<char, 256> buffer{};
    ::gethostname(buffer.data(), buffer.size() - 1);
    std::string text(buffer.data());
    for (char& c : text) {
      c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '-';
    }
    return text.empty() ? std::string("host") : text;
  }();
  return name;
}

// When a process started, in clock ticks since boot: with the pid it names one process for good.
// Empty: there is none.
std::optional<std::uint64_t> start_of_process(std::int64_t pid) {
  std::ifstream file(concat("/proc/", pid, "/stat"));
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::size_t command_end = text.rfind(')');
  if (command_end == std::string::npos) {
    return std::nullopt;
  }
  std::istringstream fields(text.substr(command_end + 1));
  std::string skipped;
  constexpr int kFieldsBefore =
      19;  // from `state` (field 3) to the one before `starttime` (field 22)
  for (int field = 0; field < kFieldsBefore; ++field) {
    fields >> skipped;
  }
  std::uint64_t start = 0;
  return fields >> start ? std::optional(start) : std::nullopt;
}

struct TemporaryName {
  std::string host;
  std::int64_t pid = 0;
  std::uint64_t start = 0;
};

template <class Number>
bool parse(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size();
}

// The field behind the last dot of `name`, which loses both.
std::string_view take_last_field(std::string_view& name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) {
    name = {};
    return {};
  }
  const std::string_view field = name.substr(dot + 1);
  name = name.substr(0, dot);
  return field;
}

std::optional<TemporaryName> parse_temporary(const std::filesystem::path& path) {
  const std::string file_name = path.filename().string();
  std::string_view name = file_name;
  if (!name.ends_with(kSuffix)) {
    return std::nullopt;
  }
  name.remove_suffix(kSuffix.size());
  TemporaryName result;
  std::uint64_t number = 0;
  if (!parse(take_last_field(name), number) || !parse(take_last_field(name), result.start) ||
      !parse(take_last_field(name), result.pid)) {
    return std::nullopt;
  }
  result.host = take_last_field(name);
  if (result.host.empty() || name.empty()) {
    return std::nullopt;
  }
  return result;
}

std::filesystem::path temporary_for(const std::filesystem::path& target) {
  static std::atomic<std::uint64_t> counter{0};
  const std::int64_t pid = ::getpid();
  return concat(target.string(), '.', host_name(), '.', pid, '.', start_of_process(pid).value_or(0),
                '.', counter++, kSuffix);
}

}  // namespace

AtomicFile::AtomicFile(std::filesystem::path target)
    : target_(std::move(target)), temporary_(temporary_for(target_)) {
  const std::filesystem::path directory = target_.parent_path();
  CLS_CHECK(directory.empty() || std::filesystem::is_directory(directory), IoError, "cannot write ",
            target_.string(), ": there is no directory ", directory.string());
}

AtomicFile::~AtomicFile() {
  if (!committed_) {
    std::error_code ignored;
    std::filesystem::remove(temporary_, ignored);
  }
}

void AtomicFile::commit() {
  FileDescriptor(temporary_, O_RDONLY).sync();
  std::error_code error;
  std::filesystem::rename(temporary_, target_, error);
  CLS_CHECK(!error, IoError, "cannot rename ", temporary_.string(), " to ", target_.string(), ": ",
            error.message());
  committed_ = true;
  sync_directory(target_.parent_path());
}

void write_file_atomically(const std::filesystem::path& path, std::string_view content) {
  AtomicFile atomic(path);
  FileDescriptor file(atomic.temporary(), O_WRONLY | O_CREAT | O_EXCL);
  file.write(std::as_bytes(std::span(content)));
  file.close();
  atomic.commit();
}

bool is_temporary(const std::filesystem::path& path) {
  return parse_temporary(path).has_value();
}

std::vector<std::filesystem::path> remove_stale_temporaries(
    const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> removed;
  std::error_code listing;
  const std::filesystem::directory_iterator entries(directory, listing);
  CLS_CHECK(!listing, IoError, "cannot list ", directory.string(), ": ", listing.message());
  for (const auto& entry : entries) {
    const std::optional<TemporaryName> name = parse_temporary(entry.path());
    if (!name || name->host != host_name() ||
        start_of_process(name->pid).value_or(0) == name->start) {
      continue;
    }
    std::error_code error;
    if (std::filesystem::remove(entry.path(), error)) {
      removed.push_back(entry.path());
    }
  }
  return removed;
}

}  // namespace clausius
