// SPDX-License-Identifier: Apache-2.0
// The byte tokenizer: lossless on every byte sequence, identified by its tokenizer.json.
#include <numeric>

#include <gtest/gtest.h>

#include "core/random.h"
#include "data/tokenizer/byte.h"
#include "data/tokenizer/byte_characters.h"
#include "data/tokenizer/sha256.h"
#include "tests/data/files.h"

namespace clausius {
namespace {

TEST(ByteTokenizer, EveryByteSequenceComesBack) {
  const ByteTokenizer tokenizer;
  const RandomStream random{.seed = 1, .stream = stream_of("bytes")};
  std::string text;
  for (std::uint32_t i = 0; i < 5000; ++i) {
    text += static_cast<char>(random.word(i) & 0xFFU);
  }
  for (int byte = 0; byte < 256; ++byte) {
    text += static_cast<char>(byte);
  }
  const std::vector<std::int32_t> ids = tokenizer.encode(text);
  ASSERT_EQ(ids.size(), text.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    ASSERT_EQ(ids[i], static_cast<unsigned char>(text[i]));
  }
  EXPECT_EQ(tokenizer.decode(ids), text);
  EXPECT_EQ(tokenizer.settled_prefix(text), text.size());
  EXPECT_TRUE(tokenizer.encode("").empty());
}

TEST(ByteTokenizer, TheEndOfTextIsSpecial) {
  const ByteTokenizer tokenizer;
  EXPECT_EQ(tokenizer.vocab_size(), 257);
  EXPECT_EQ(tokenizer.eos_id(), 256);
  EXPECT_FALSE(tokenizer.bos_id());
  EXPECT_EQ(tokenizer.decode(std::vector<std::int32_t>{72, 105, 256}), "Hi");
  EXPECT_EQ(tokenizer.decode(std::vector<std::int32_t>{72, 105, 256}, true), "Hi<|endoftext|>");
  EXPECT_EQ(tokenizer.encode("<|endoftext|>").size(), 13U);
  const std::vector<std::int32_t> lengths = tokenizer.byte_lengths();
  ASSERT_EQ(lengths.size(), 257U);
  EXPECT_EQ(std::accumulate(lengths.begin(), lengths.end(), 0), 256);
  EXPECT_EQ(lengths.back(), 0);
}

TEST(ByteTokenizer, UnknownIdsAreRefused) {
  const ByteTokenizer tokenizer;
  for (const std::int32_t id : {-1, 257}) {
    EXPECT_EQ(test::error_of<DataError>([&] { (void)tokenizer.decode(std::vector{id}); }),
              concat("token id ", id, " is outside the byte tokenizer's 0 .. 256"));
  }
}

TEST(ByteTokenizer, ComesBackFromItsJson) {
  const ByteTokenizer tokenizer;
  const std::unique_ptr<Tokenizer> back = Tokenizer::from_json(tokenizer.to_json());
  EXPECT_EQ(back->kind(), "byte");
  EXPECT_EQ(back->sha256(), tokenizer.sha256());
  EXPECT_EQ(test::error_of<DataError>([] { (void)Tokenizer::from_json("{}"); }),
            "a tokenizer.json of 2 bytes (sha256 "
            "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a) "
            "that no tokenizer of this build reads");
}

// A change here gives every cached token store and checkpoint another identity.
TEST(ByteTokenizer, ItsIdentityStays) {
  EXPECT_EQ(ByteTokenizer().sha256(),
            "0e5afb9943408208f0d58699c183572f70723e28b993605a402aee28a209df6a");
}

TEST(ByteCharacters, FollowTheByteLevelMap) {
  EXPECT_EQ(byte_character('A'), "A");
  EXPECT_EQ(byte_character(0x00), "\xC4\x80");  // U+0100
  EXPECT_EQ(byte_character(0x09), "\xC4\x89");  // U+0109
  EXPECT_EQ(byte_character(0x20), "\xC4\xA0");  // U+0120
  EXPECT_EQ(byte_character(0x7F), "\xC4\xA1");  // U+0121
  EXPECT_EQ(byte_character(0xA0), "\xC5\x82");  // U+0142
  EXPECT_EQ(byte_character(0xA1), "\xC2\xA1");  // itself
  EXPECT_EQ(byte_character(0xAD), "\xC5\x83");  // U+0143
  EXPECT_EQ(byte_character(0xFF), "\xC3\xBF");  // itself
}

TEST(Sha256, KnownAnswers) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256_hex(std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

}  // namespace
}  // namespace clausius
