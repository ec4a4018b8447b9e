// SPDX-License-Identifier: Apache-2.0
// Plain text and jsonl.
#include "data/text_reader.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>
#include <vector>

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/json.h"

namespace clausius {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBlock = std::size_t{1} << 20;

class BlockReader {
 public:
  explicit BlockReader(const fs::path& path) : file_(path, O_RDONLY), buffer_(kBlock) {}
  /// Empty at the end of the file.
  std::string_view next() {
    ssize_t count = 0;
    do {
      count = ::read(file_.get(), buffer_.data(), kBlock);
    } while (count < 0 && errno == EINTR);
    CLS_CHECK(count >= 0, IoError, "cannot read ", file_.path().native(), " at byte ", offset_,
              ": ", std::strerror(errno));
    const std::string_view block(buffer_.data(), static_cast<std::size_t>(count));
    if (offset_ == 0) {
      refuse_compressed(block);
    }
    offset_ += count;
    return block;
  }

 private:
  void refuse_compressed(std::string_view start) const {
    using namespace std::string_view_literals;
    struct Magic {
      std::string_view bytes;
      const char* name;
    };
    constexpr std::array kMagics = {Magic{"\x1f\x8b"sv, "gzip"},
                                    Magic{"\x28\xb5\x2f\xfd"sv, "zstd"},
                                    Magic{"\xfd"
                                          "7zXZ\0"sv,
                                          "xz"},
                                    Magic{"BZh"sv, "bzip2"}, Magic{"PK\x03\x04"sv, "zip"}};
    for (const Magic& magic : kMagics) {
      CLS_CHECK(!start.starts_with(magic.bytes), DataError, file_.path().native(), " is a ",
                magic.name, " file; expected text: decompress it first");
    }
  }

  FileDescriptor file_;
  std::vector<char> buffer_;
  std::int64_t offset_ = 0;
};

// Calls fn(line, line_break) for each line; the break is "\n", "\r\n" or, at the end of the file, "".
template <class Fn>
void for_each_line(const fs::path& path, const Fn& fn) {
  BlockReader reader(path);
  std::string carried;
  const auto emit = [&fn](std::string_view line) {
    const bool carriage_return = line.ends_with('\r');
    fn(line.substr(0, line.size() - (carriage_return ? 1 : 0)), carriage_return ? "\r\n" : "\n");
  };
  for (std::string_view block = reader.next(); !block.empty(); block = reader.next()) {
    for (std::size_t end = block.find('\n'); end != std::string_view::npos;
         end = block.find('\n')) {
      if (carried.empty()) {
        emit(block.substr(0, end));
      } else {
        carried += block.substr(0, end);
        emit(carried);
        carried.clear();
      }
      block.remove_prefix(end + 1);
    }
    carried += block;
  }
  if (!carried.empty()) {
    fn(std::string_view(carried), "");
  }
}

void read_whole(const fs::path& path, DocumentSink& sink) {
  BlockReader reader(path);
  for (std::string_view block = reader.next(); !block.empty(); block = reader.next()) {
    sink.text(block);
  }
  sink.end_document();
}

void read_lines(const fs::path& path, DocumentSink& sink) {
  for_each_line(path, [&](std::string_view line, const char*) {
    sink.text(line);
    sink.end_document();
  });
}

void read_paragraphs(const fs::path& path, DocumentSink& sink) {
  bool open = false;
  const char* held_break = "";
  for_each_line(path, [&](std::string_view line, const char* line_break) {
    const bool blank = line.find_first_not_of(" \t\v\f") == std::string_view::npos;
    if (blank && open) {
      sink.end_document();
    } else if (!blank) {
      if (open) {
        sink.text(held_break);
      }
      sink.text(line);
    }
    open = !blank;
    held_break = line_break;
  });
  if (open) {
    sink.end_document();
  }
}

void read_jsonl(const fs::path& path, const std::string& key, DocumentSink& sink) {
  std::int64_t number = 0;
  for_each_line(path, [&](std::string_view line, const char*) {
    ++number;
    if (line.find_first_not_of(" \t") == std::string_view::npos) {
      return;
    }
    const std::string where = concat(path.native(), ":", number);
    const Json object = Json::parse(line, where);
    CLS_CHECK(object.is_object(), DataError, where, ": not a JSON object");
    const Json* text = object.find(key);
    CLS_CHECK(text != nullptr, DataError, where, ": no member \"", key,
              "\"; set data.text_key to the member that holds the text");
    CLS_CHECK(text->is_text(), DataError, where, ": member \"", key, "\" is no string but ",
              text->dump().substr(0, 40));
    sink.text(text->text());
    sink.end_document();
  });
}

bool is_jsonl(const fs::path& path, TextFormat format) {
  const fs::path ending = path.extension();
  return format == TextFormat::kJsonl ||
         (format == TextFormat::kAuto && (ending == ".jsonl" || ending == ".ndjson"));
}

}  // namespace

void read_documents(const fs::path& file, const TextRules& rules, DocumentSink& sink) {
  if (is_jsonl(file, rules.format)) {
    return read_jsonl(file, rules.text_key, sink);
  }
  switch (rules.documents) {
    case DocumentRule::kFile:
      return read_whole(file, sink);
    case DocumentRule::kBlankLine:
      return read_paragraphs(file, sink);
    case DocumentRule::kLine:
      return read_lines(file, sink);
  }
}

}  // namespace clausius
