// SPDX-License-Identifier: Apache-2.0
// Token files of other programs: layouts, documents, vocabularies, damage.
#include "data/token_formats.h"

#include <gtest/gtest.h>

#include "data/tokens_data.h"
#include "tests/data/files.h"

namespace clausius {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using Ids = std::vector<std::int32_t>;

template <class T, class Values>
std::string bytes_of(const Values& values) {
  std::string bytes;
  for (const auto value : values) {
    const T element = static_cast<T>(value);
    bytes.append(reinterpret_cast<const char*>(&element), sizeof(T));
  }
  return bytes;
}

template <class T>
std::string llm_c_file(std::int32_t magic, std::int32_t version, const Ids& ids) {
  std::vector<std::int32_t> header(256, 0);
  header[0] = magic;
  header[1] = version;
  header[2] = static_cast<std::int32_t>(ids.size());
  return bytes_of<std::int32_t>(header) + bytes_of<T>(ids);
}

std::string megatron_index(std::uint8_t code,
                           std::int64_t width,
                           const Ids& lengths,
                           const Ids& documents) {
  std::string bytes("MMIDIDX\0\0", 9);
  bytes += bytes_of<std::uint64_t>(Ids{1}) + static_cast<char>(code);
  bytes += bytes_of<std::uint64_t>(std::vector<std::size_t>{lengths.size(), documents.size()});
  bytes += bytes_of<std::int32_t>(lengths);
  std::vector<std::int64_t> pointers;
  std::int64_t at = 0;
  for (const std::int32_t length : lengths) {
    pointers.push_back(at);
    at += length * width;
  }
  return bytes + bytes_of<std::int64_t>(pointers) + bytes_of<std::int64_t>(documents);
}

std::shared_ptr<const TokenStore> open(const fs::path& path,
                                       TokenFormat format = TokenFormat::kAuto) {
  return open_tokens({&path, 1}, format, TokenType::kU16);
}

Ids ids_of(const TokenStore& store) {
  Ids ids(static_cast<std::size_t>(store.tokens()));
  store.read(0, ids);
  return ids;
}

std::vector<std::int64_t> starts_of(const TokenStore& store) {
  std::vector<std::int64_t> starts;
  for (std::int64_t document = 0; document < store.documents(); ++document) {
    starts.push_back(store.document_begin(document));
  }
  return starts;
}

TEST(TokenFormats, LlmCOfGpt2) {
  const test::TemporaryFolder folder;
  const Ids ids = {50256, 5, 6, 50256, 7, 50256, 8, 9};
  const auto store = open(folder.write("a.bin", llm_c_file<std::uint16_t>(20240520, 1, ids)));
  EXPECT_EQ(ids_of(*store), ids);
  EXPECT_EQ(store->vocab_size(), 50257);
  EXPECT_EQ(store->eos_id(), 50256);
  EXPECT_EQ(starts_of(*store), (std::vector<std::int64_t>{0, 1, 4, 6}));
  store->verify_checksums();
  (void)folder.write("a.bin",
                     llm_c_file<std::uint16_t>(20240520, 1, {50256, 5, 6, 50256, 7, 50256, 8, 10}));
  EXPECT_NE(store->fingerprint(), open(folder / "a.bin")->fingerprint());
}

TEST(TokenFormats, LlmCOfLlama3) {
  const test::TemporaryFolder folder;
  const Ids ids = {128000, 70000, 6, 128000, 7};
  const auto store = open(folder.write("a.bin", llm_c_file<std::uint32_t>(20240801, 7, ids)));
  EXPECT_EQ(ids_of(*store), ids);
  EXPECT_EQ(store->vocab_size(), 128256);
  EXPECT_EQ(starts_of(*store), (std::vector<std::int64_t>{0, 3}));
}

TEST(TokenFormats, BareIds) {
  const test::TemporaryFolder folder;
  const auto characters = open(folder.write("c.bin", bytes_of<std::uint16_t>(Ids{3, 1, 64, 2})));
  EXPECT_EQ(ids_of(*characters), (Ids{3, 1, 64, 2}));
  EXPECT_EQ(characters->vocab_size(), 65);
  EXPECT_EQ(characters->documents(), 1);
  EXPECT_FALSE(characters->eos_id());
  const auto gpt2 =
      open(folder.write("g.bin", bytes_of<std::uint16_t>(Ids{3, 1, 50256, 2, 50256})));
  EXPECT_EQ(gpt2->vocab_size(), 50257);
  EXPECT_EQ(starts_of(*gpt2), (std::vector<std::int64_t>{0, 3}));
  const fs::path wide = folder.write("w.bin", bytes_of<std::uint32_t>(Ids{3, 100000}));
  EXPECT_EQ(ids_of(*open_tokens({&wide, 1}, TokenFormat::kNanogpt, TokenType::kU32)),
            (Ids{3, 100000}));
}

TEST(TokenFormats, Megatron) {
  const test::TemporaryFolder folder;
  (void)folder.write("m.bin", bytes_of<std::uint16_t>(Ids{1, 2, 3, 4, 5, 6}));
  // Three sequences; the first two are one document, the third another, and one document is empty.
  (void)folder.write("m.idx", megatron_index(8, 2, {2, 1, 3}, {0, 2, 2, 3}));
  for (const char* name : {"m", "m.bin", "m.idx"}) {
    const auto store = open(folder / name);
    EXPECT_EQ(ids_of(*store), (Ids{1, 2, 3, 4, 5, 6})) << name;
    EXPECT_EQ(starts_of(*store), (std::vector<std::int64_t>{0, 3}));
    EXPECT_EQ(store->vocab_size(), 7);
  }
  (void)folder.write("w.bin", bytes_of<std::int32_t>(Ids{1, 100000}));
  (void)folder.write("w.idx", megatron_index(4, 4, {2}, {0, 1}));
  EXPECT_EQ(ids_of(*open(folder / "w")), (Ids{1, 100000}));
}

TEST(TokenFormats, DamageIsNamed) {
  const test::TemporaryFolder folder;
  const auto message = [&](std::string_view name, TokenFormat format = TokenFormat::kAuto) {
    return error_of<DataError>([&] { (void)open(folder / name, format); });
  };
  const std::string a =
      folder.write("a.bin", llm_c_file<std::uint16_t>(20240520, 1, {1, 2, 3}) + "x").native();
  EXPECT_EQ(message("a.bin"), a + " has 1031 bytes; expected 1030: 3 tokens of u16 in its header");
  (void)folder.write("a.bin", llm_c_file<std::uint16_t>(20240520, 2, {1}));
  EXPECT_EQ(message("a.bin"), a + ": version 2 of header 20240520; expected 1");
  (void)folder.write("a.bin", "abc");
  EXPECT_EQ(message("a.bin", TokenFormat::kLlmC),
            a + " has no header of llm.c; expected one that starts with 20240520 or 20240801");
  EXPECT_EQ(message("a.bin"),
            a + " has 3 bytes; expected bare ids of u16, 2 bytes each (data.token_dtype)");
  (void)folder.write("a.bin", "");
  EXPECT_EQ(message("a.bin"),
            a + " has 0 bytes; expected bare ids of u16, 2 bytes each (data.token_dtype)");
  (void)folder.write("a.bin", llm_c_file<std::uint16_t>(20240520, 1, {1, 50257}));
  EXPECT_EQ(error_of<IoError>([&] { (void)open(folder / "no"); }),
            "cannot open " + (folder / "no").native() + ": No such file or directory");

  const std::string tokens = folder.write("m.bin", bytes_of<std::uint16_t>(Ids{1, 2, 3})).native();
  const std::string index = (folder / "m.idx").native();
  const std::string good = megatron_index(8, 2, {3}, {0, 1});
  (void)folder.write("m.idx", "MMIDIDX?" + good.substr(8));
  EXPECT_EQ(message("m"), index + " is no index of Megatron; expected it to start with MMIDIDX");
  (void)folder.write("m.idx", good.substr(0, good.size() - 1));
  EXPECT_EQ(message("m"), index + " ends at byte 61; expected 62 or more");
  (void)folder.write("m.idx", megatron_index(6, 8, {3}, {0, 1}));
  EXPECT_EQ(message("m"), index + ": element type 6; expected 4 (i32) or 8 (u16)");
  (void)folder.write("m.idx", megatron_index(8, 2, {4}, {0, 1}));
  EXPECT_EQ(message("m"), tokens + " has 6 bytes; expected 8: 4 tokens in " + index);
  (void)folder.write("m.idx", megatron_index(8, 2, {3}, {0, 5}));
  EXPECT_EQ(message("m"), index + ": a document starts at sequence 5 of 1");
  (void)folder.write("m.idx", megatron_index(8, 4, {1, 2}, {0, 2}));
  EXPECT_EQ(message("m"), index + ": sequence 1 has 2 tokens at byte 4; expected byte 2");
  std::string huge = good;
  huge[24] = '\x7F';
  (void)folder.write("m.idx", huge);
  EXPECT_NE(message("m").find("its header promises lists of "), std::string::npos);
}

TEST(TokenFormats, NegativeIdsAreRefused) {
  const test::TemporaryFolder folder;
  (void)folder.write("m.bin", bytes_of<std::int32_t>(Ids{1, -1}));
  (void)folder.write("m.idx", megatron_index(4, 4, {2}, {0, 1}));
  EXPECT_EQ(error_of<DataError>([&] { (void)open(folder / "m"); }),
            (folder / "m.bin").native() + " holds the id 4294967295; expected ids below 2^31 - 1");
}

TEST(TokenFormats, FilesReadTogetherHaveOneFormat) {
  const test::TemporaryFolder folder;
  const std::vector<fs::path> paths = {
      folder.write("a.bin", bytes_of<std::uint16_t>(Ids{1, 2})),
      folder.write("b.bin", llm_c_file<std::uint16_t>(20240520, 1, {1}))};
  EXPECT_EQ(
      error_of<DataError>([&] { (void)open_tokens(paths, TokenFormat::kAuto, TokenType::kU16); }),
      paths[1].native() + " is of format llm_c, " + paths[0].native() +
          " of nanogpt; files that are read together must have one format");
}

TEST(TokensDataset, ReadsShardsByPatternWithTheLargerVocabulary) {
  const test::TemporaryFolder folder;
  (void)folder.write("train_1.bin", bytes_of<std::uint16_t>(Ids{4, 5, 6}));
  (void)folder.write("train_0.bin", bytes_of<std::uint16_t>(Ids{1, 2, 3}));
  (void)folder.write("val.bin", bytes_of<std::uint16_t>(Ids{9, 8}));
  TokensConfig config;
  config.train.push_back({.path = folder / "train_*.bin"});
  config.validation.emplace().push_back({.path = folder / "val.bin"});
  config.context_length = 6;
  config.packing = Packing::kStream;
  const auto data = Choice<Dataset>("tokens", config).make(DataContext{});
  EXPECT_EQ(data->facts().vocab_size, 10);
  const Batch batch = data->train().read(0, 1);
  const auto row = batch.inputs_BT.span<std::int32_t>();
  EXPECT_EQ(Ids(row.begin(), row.end()), (Ids{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(data->facts().validation_samples, 1);
  EXPECT_EQ(data->tokenizer(), nullptr);
}

}  // namespace
}  // namespace clausius
