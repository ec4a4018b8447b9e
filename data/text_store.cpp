// SPDX-License-Identifier: Apache-2.0
// Encoding text into token stores and finding the stores again.
#include "data/text_store.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/file.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

#include <fmt/format.h>

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/hash.h"
#include "data/sources.h"
#include "data/token_store_writer.h"

namespace clausius {
namespace {

namespace fs = std::filesystem;

constexpr int kLayoutVersion = 1;

// Text is encoded as soon as what follows cannot change its ids.
class EncodingSink final : public DocumentSink {
 public:
  EncodingSink(const Tokenizer& tokenizer, bool append_eos, TokenStoreWriter& writer)
      : tokenizer_(tokenizer), append_eos_(append_eos), writer_(writer) {}

  void text(std::string_view piece) override {
    if (!held_.empty()) {
      held_ += piece;
      piece = held_;
    }
    const std::size_t settled = tokenizer_.settled_prefix(piece);
    encode(piece.substr(0, settled));
    held_ = std::string(piece.substr(settled));
  }
  void end_document() override {
    encode(held_);
    held_.clear();
    if (append_eos_ && writer_.document_tokens() > 0) {
      const std::int32_t eos = *tokenizer_.eos_id();
      writer_.append({&eos, 1});
    }
    tokens_ += writer_.document_tokens();
    writer_.end_document();
  }
  [[nodiscard]] std::int64_t tokens() const { return tokens_; }

 private:
  void encode(std::string_view text) {
    ids_.clear();
    tokenizer_.encode_to(text, ids_);
    writer_.append(ids_);
  }

  const Tokenizer& tokenizer_;
  bool append_eos_;
  TokenStoreWriter& writer_;
  std::string held_;
  std::vector<std::int32_t> ids_;
  std::int64_t tokens_ = 0;
};

std::string join(const std::vector<fs::path>& paths) {
  std::string text;
  for (const fs::path& path : paths) {
    text += (text.empty() ? "" : ", ") + path.native();
  }
  return text;
}

std::vector<fs::path> expand(const std::vector<fs::path>& sources) {
  std::vector<fs::path> files;
  for (const fs::path& source : sources) {
    const std::vector<fs::path> found = expand_text_files(source);
    files.insert(files.end(), found.begin(), found.end());
  }
  return files;
}

std::string store_key(const std::vector<fs::path>& files,
                      const TextStoreRules& rules,
                      const Tokenizer& tokenizer) {
  std::string made_from = fmt::format("{} {} {} {} {} {}\n", kLayoutVersion, tokenizer.sha256(),
                                      rules.append_eos, static_cast<int>(rules.text.format),
                                      static_cast<int>(rules.text.documents), rules.text.text_key);
  for (const fs::path& file : files) {
    struct stat status {};
    CLS_CHECK(::stat(file.c_str(), &status) == 0, IoError, "cannot open ", file.native(), ": ",
              std::strerror(errno));
    made_from += fmt::format("{} {} {}.{}\n", fs::absolute(file).lexically_normal().native(),
                             status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
  }
  return fmt::format("{:016x}", xxh3_64(made_from));
}

// A folder's lock for as long as the object lives, where the file system has locks.
class FolderLock {
 public:
  explicit FolderLock(const fs::path& folder) : file_(folder, O_RDONLY | O_DIRECTORY) {
    int status = 0;
    do {
      status = ::flock(file_.get(), LOCK_EX);
    } while (status != 0 && errno == EINTR);
    held_ = status == 0;
  }
  [[nodiscard]] bool held() const { return held_; }

 private:
  FileDescriptor file_;  // closing it unlocks
  bool held_ = false;
};

std::string announcement(const std::vector<fs::path>& files, const fs::path& store) {
  std::uintmax_t bytes = 0;
  for (const fs::path& file : files) {
    bytes += fs::file_size(file);
  }
  return fmt::format("tokenizing {} file{} ({:.1f} MB) into {}", files.size(),
                     files.size() == 1 ? "" : "s", static_cast<double>(bytes) * 1e-6,
                     store.native());
}

// What killed builders of this store left behind; only under the lock, where no other builder can be alive.
void remove_unfinished(const fs::path& store) {
  std::error_code ignored;
  const std::string prefix = store.filename().native() + ".building-";
  for (const fs::directory_entry& entry : fs::directory_iterator(store.parent_path(), ignored)) {
    if (entry.path().filename().native().starts_with(prefix)) {
      fs::remove_all(entry.path(), ignored);
    }
  }
}

}  // namespace

void write_text_store(const fs::path& store,
                      const std::vector<fs::path>& files,
                      const TextStoreRules& rules,
                      const Tokenizer& tokenizer) {
  CLS_CHECK(!rules.append_eos || tokenizer.eos_id(), DataError, "the ", tokenizer.kind(),
            " tokenizer has no end-of-text token; set data.append_eos: false");
  TokenStoreWriter writer(store, tokenizer, join(files));
  EncodingSink sink(tokenizer, rules.append_eos, writer);
  for (const fs::path& file : files) {
    read_documents(file, rules.text, sink);
  }
  CLS_CHECK(sink.tokens() > 0, DataError, join(files), ": no text in ", files.size(),
            files.size() == 1 ? " file" : " files");
  writer.publish();
}

fs::path cached_text_store(const std::vector<fs::path>& sources,
                           const TextStoreRules& rules,
                           const Tokenizer& tokenizer,
                           const fs::path& fallback_folder,
                           const Announce& announce) {
  CLS_CHECK(!sources.empty(), InternalError, "a text store of no sources");
  const std::vector<fs::path> files = expand(sources);
  // Patterns become part of the name of a folder beside them, never of one inside: a store must not become a source.
  fs::path first = fs::absolute(sources.front()).lexically_normal();
  if (!first.has_filename()) {
    first = first.parent_path();
  }
  if (!fs::exists(first)) {
    first = fs::absolute(files.front()).lexically_normal();
  }
  const std::string name =
      first.stem().native() + "-" + store_key(files, rules, tokenizer) + ".tokens";
  const bool writable = ::faccessat(AT_FDCWD, first.parent_path().c_str(), W_OK, AT_EACCESS) == 0;
  const fs::path folder =
      fs::exists(first.parent_path() / name) || writable ? first.parent_path() : fallback_folder;
  fs::path store = folder / name;
  if (fs::exists(store)) {
    return store;
  }
  std::error_code failure;
  fs::create_directories(folder, failure);
  CLS_CHECK(!failure, IoError, "cannot create ", folder.native(), ": ", failure.message());
  const FolderLock lock(folder);
  if (fs::exists(store)) {
    return store;
  }
  if (lock.held()) {
    remove_unfinished(store);
  }
  if (announce) {
    announce(announcement(files, store));
  }
  try {
    write_text_store(store, files, rules, tokenizer);
  } catch (const IoError&) {
    // Without a lock another process may have been faster; its store is as good as ours.
    if (lock.held() || !fs::exists(store)) {
      throw;
    }
  }
  return store;
}

}  // namespace clausius
