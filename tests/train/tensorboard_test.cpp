// SPDX-License-Identifier: Apache-2.0
// Event files, from checksums and varints up to what a sampled step leaves; read back by a reader of the tests' own.
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/event_reader.h"
#include "tests/support/temporary_directory.h"
#include "train/monitor/tensorboard/record.h"
#include "train/monitor/tensorboard/tensorboard_log.h"

namespace clausius {
namespace {

using test::Event;
using test::only;
using test::ProtoField;
using test::read_message;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::UnorderedElementsAre;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::string hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char byte : bytes) {
    const auto value = static_cast<unsigned char>(byte);
    text.push_back(kDigits[value >> 4]);
    text.push_back(kDigits[value & 15]);
  }
  return text;
}

// RFC 3720, appendix B.4, and the usual check value.
TEST(EventRecord, Crc32cHasItsKnownValues) {
  EXPECT_EQ(crc32c(""), 0U);
  EXPECT_EQ(crc32c("123456789"), 0xe3069283U);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aaU);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43U);
  std::string ascending;
  for (char byte = 0; byte < 32; ++byte) {
    ascending.push_back(byte);
  }
  EXPECT_EQ(crc32c(ascending), 0x46dd794eU);
  EXPECT_EQ(masked_crc32c("123456789"), 0xc78ab0e5U);
}

TEST(EventRecord, FramesAsOthersDo) {
  const ProtoMessage version = ProtoMessage().real(1, 1.0).bytes(3, "brain.Event:2");
  EXPECT_EQ(hex(framed_record(version.encoded())),
            "1800000000000000"
            "a37f4b22"
            "09000000000000f03f1a0d627261696e2e4576656e743a32"
            "86bf577a");
  Summary summary;
  summary.scalar("loss", 0.5);
  const ProtoMessage event =
      ProtoMessage().real(1, 2.0).integer(2, 10).message(5, summary.message());
  EXPECT_EQ(hex(framed_record(event.encoded())),
            "1a00000000000000"
            "129bd82d"
            "090000000000000040100a2a0d0a0b0a046c6f7373150000003f"
            "081add56");
}

TEST(ProtoMessage, VarintsHaveSevenBitsAByte) {
  const auto encoded = [](std::int64_t value) {
    return hex(ProtoMessage().integer(1, value).encoded());
  };
  EXPECT_EQ(encoded(0), "0800");
  EXPECT_EQ(encoded(127), "087f");
  EXPECT_EQ(encoded(128), "088001");
  EXPECT_EQ(encoded(150), "089601");
  EXPECT_EQ(encoded(300), "08ac02");
  EXPECT_EQ(encoded(-1), "08ffffffffffffffffff01");
  EXPECT_EQ(encoded(std::numeric_limits<std::int64_t>::max()), "08ffffffffffffffff7f");
  // A field above 15 takes a key of two bytes; a length above 127 too.
  EXPECT_EQ(hex(ProtoMessage().integer(16, 1).encoded()), "800101");
  EXPECT_EQ(ProtoMessage().bytes(2, std::string(200, 'x')).encoded().substr(0, 4), "\x12\xc8\x01x");
}

TEST(ProtoMessage, WordsAreLittleEndian) {
  EXPECT_EQ(hex(ProtoMessage().real(1, 1.0).encoded()), "09000000000000f03f");
  EXPECT_EQ(hex(ProtoMessage().real32(2, 0.5F).encoded()), "150000003f");
  const std::vector<double> values = {1.0, -2.0};
  EXPECT_EQ(hex(ProtoMessage().reals(3, values).encoded()), "1a10000000000000f03f00000000000000c0");
}

class EventFiles : public testing::Test {
 protected:
  static StepReport report(std::int64_t step) {
    StepReport report{.step = step, .loss = 2.5, .lr = 1e-3};
    report.sampled = true;
    report.grad_norm = 0.75;
    report.update_norm = 0.125;
    report.tokens_per_second = 1e4;
    report.entropy = {{{.entropy_nats = 1.0, .entropy_normalized = 0.25},
                       {.entropy_nats = 3.0, .entropy_normalized = 1.0}},
                      {},
                      {{.entropy_nats = 0.0, .entropy_normalized = 0.0}}};
    return report;
  }
  // The events of the only file.
  std::vector<Event> events() const {
    const auto files = test::event_files(directory_.path());
    EXPECT_EQ(files.size(), 1U);
    return test::read_events(files.at(0)).events;
  }
  static std::vector<std::string> tags(const Event& event) {
    std::vector<std::string> names;
    for (const auto& [tag, value] : event.values) {
      names.push_back(tag);
    }
    return names;
  }
  static float scalar(const Event& event, const std::string& tag) {
    return only(event.values.at(tag), 2).real32();
  }

  test::TemporaryDirectory directory_;
  static constexpr const char* kRecipe =
      "name: x\nmodel:\n  layers: 2\n  dropout: 0.5\n  tied: true\n  mixers: [a, b]\n  none: "
      "null\n";
};

TEST_F(EventFiles, BeginWithVersionSessionAndRecipe) {
  const TensorBoardLog log(directory_.path(), kRecipe, 0);
  ASSERT_EQ(events().size(), 3U);
  EXPECT_EQ(events()[0].file_version, "brain.Event:2");
  EXPECT_GT(events()[0].wall_time, 1.5e9);
  EXPECT_LT(events()[0].wall_time, 4.2e9);
  EXPECT_EQ(events()[1].session_status, 1);
  EXPECT_EQ(events()[1].step, 0);
  EXPECT_THAT(tags(events()[2]), UnorderedElementsAre("recipe", "_hparams_/session_start_info"));
  const std::vector<ProtoField> text = events()[2].values.at("recipe");
  EXPECT_THAT(only(read_message(only(text, 8).bytes), 8).bytes,
              HasSubstr("    model:\n      layers"));
}

TEST_F(EventFiles, HparamsAreTheSettingsOfTheRecipe) {
  const TensorBoardLog log(directory_.path(), kRecipe, 0);
  const std::vector<ProtoField> value = events().at(2).values.at("_hparams_/session_start_info");
  const std::vector<ProtoField> plugin =
      read_message(only(read_message(only(value, 9).bytes), 1).bytes);
  EXPECT_EQ(only(plugin, 1).bytes, "hparams");
  const std::vector<ProtoField> data = read_message(only(plugin, 2).bytes);
  std::vector<std::string> settings;
  for (const ProtoField& field : read_message(only(data, 3).bytes)) {
    if (field.number == 1) {
      const std::vector<ProtoField> entry = read_message(field.bytes);
      const ProtoField setting = read_message(only(entry, 2).bytes).at(0);
      settings.push_back(only(entry, 1).bytes + "=" +
                         (setting.number == 3   ? setting.bytes
                          : setting.number == 2 ? std::to_string(setting.real())
                                                : "flag " + std::to_string(setting.word)));
    }
  }
  EXPECT_THAT(settings, ElementsAre("name=x", "model.layers=2.000000", "model.dropout=0.500000",
                                    "model.tied=flag 1", "model.mixers.0=a", "model.mixers.1=b"));
}

TEST_F(EventFiles, ASampledStepIsOneEvent) {
  TensorBoardLog log(directory_.path(), kRecipe, 0);
  StepReport full = report(7);
  full.aux_losses = {{"z_loss", 0.25}};
  log.on_step(full);
  ASSERT_EQ(events().size(), 4U);
  const Event step = events().back();
  EXPECT_EQ(step.step, 7);
  EXPECT_THAT(
      tags(step),
      UnorderedElementsAre(
          "loss", "lr", "grad_norm", "update_norm", "tokens_per_second", "aux_losses/z_loss",
          "entropy_mean/all", "entropy_mean/layer_00", "entropy_mean/layer_02",
          "entropy_normalized/all", "entropy_normalized/layer_00", "entropy_normalized/layer_02",
          "entropy_normalized_heads/all", "entropy_normalized_heads/layer_00",
          "entropy_normalized_heads/layer_02", "entropy_normalized_map", "collapsed_heads"));
  EXPECT_EQ(scalar(step, "loss"), 2.5F);
  EXPECT_EQ(scalar(step, "lr"), 1e-3F);
  EXPECT_EQ(scalar(step, "aux_losses/z_loss"), 0.25F);
  EXPECT_EQ(scalar(step, "entropy_mean/layer_00"), 2.0F);
  EXPECT_FLOAT_EQ(scalar(step, "entropy_mean/all"), 4.0F / 3.0F);
  EXPECT_EQ(scalar(step, "entropy_normalized/layer_02"), 0.0F);
}

TEST_F(EventFiles, StepsThatAreNotSampledLeaveNothing) {
  TensorBoardLog log(directory_.path(), kRecipe, 0);
  StepReport quiet = report(2);
  quiet.sampled = false;
  log.on_step(quiet);
  log.on_event(2, "checkpoint", "file");
  log.on_event(2, "end", "stopped");
  EXPECT_EQ(events().size(), 3U);
}

TEST_F(EventFiles, EvaluationsAndTheEndAreEventsOfTheirOwn) {
  TensorBoardLog log(directory_.path(), kRecipe, 0);
  log.on_evaluation(50, {.val_loss = 2.25, .val_bits_per_byte = kNan, .samples = 4});
  log.on_event(60, "end", "done");
  ASSERT_EQ(events().size(), 5U);
  EXPECT_EQ(events()[3].step, 50);
  EXPECT_EQ(scalar(events()[3], "val_loss"), 2.25F);
  EXPECT_TRUE(std::isnan(scalar(events()[3], "val_bits_per_byte")));
  EXPECT_THAT(tags(events()[4]), ElementsAre("_hparams_/session_end_info"));
}

TEST_F(EventFiles, HistogramsCountEveryHead) {
  TensorBoardLog log(directory_.path(), kRecipe, 0);
  log.on_step(report(1));
  const auto histogram =
      read_message(only(events().back().values.at("entropy_normalized_heads/all"), 5).bytes);
  EXPECT_EQ(only(histogram, 1).real(), 0.0);
  EXPECT_EQ(only(histogram, 2).real(), 1.0);
  EXPECT_EQ(only(histogram, 3).real(), 3.0);
  EXPECT_EQ(only(histogram, 4).real(), 1.25);
  EXPECT_EQ(only(histogram, 5).real(), 1.0625);
  const std::vector<double> limits = packed_reals(only(histogram, 6));
  const std::vector<double> counts = packed_reals(only(histogram, 7));
  ASSERT_EQ(limits.size(), counts.size());
  EXPECT_EQ(limits.back(), 1.0);
  for (std::size_t i = 0; i < limits.size(); ++i) {
    double want = 0;
    for (const double share : {0.0, 0.25, 1.0}) {
      want += share <= limits[i] && (i == 0 || share > limits[i - 1]) ? 1 : 0;
    }
    EXPECT_EQ(counts[i], want) << "bucket " << i;
  }
}

// Readers take the least value for the left edge of the first bucket.
TEST_F(EventFiles, HistogramsBeginAndEndWithBucketsThatHoldSomething) {
  TensorBoardLog log(directory_.path(), kRecipe, 0);
  StepReport narrow = report(1);
  narrow.entropy = {{{.entropy_normalized = 0.41}, {.entropy_normalized = 0.49}}};
  log.on_step(narrow);
  const auto histogram =
      read_message(only(events().back().values.at("entropy_normalized_heads/all"), 5).bytes);
  EXPECT_THAT(packed_reals(only(histogram, 6)), ElementsAre(13.0 / 30, 14.0 / 30, 15.0 / 30));
  EXPECT_THAT(packed_reals(only(histogram, 7)), ElementsAre(1, 0, 1));
}

TEST_F(EventFiles, WhatIsUnknownIsLeftOutOfHistograms) {
  TensorBoardLog log(directory_.path(), kRecipe, 0);
  StepReport unknown = report(1);
  unknown.entropy = {{{.entropy_normalized = kNan}}, {{.entropy_normalized = 0.5}}};
  log.on_step(unknown);
  EXPECT_THAT(tags(events().back()),
              IsSupersetOf({"entropy_normalized_heads/all", "entropy_normalized_heads/layer_01"}));
  EXPECT_EQ(events().back().values.count("entropy_normalized_heads/layer_00"), 0U);
  const auto histogram =
      read_message(only(events().back().values.at("entropy_normalized_heads/all"), 5).bytes);
  EXPECT_EQ(only(histogram, 3).real(), 1.0);
}

TEST_F(EventFiles, AModelWithoutHeadsHasNoEntropies) {
  TensorBoardLog log(directory_.path(), kRecipe, 0);
  StepReport bare = report(1);
  bare.entropy = {{}, {}};
  log.on_step(bare);
  EXPECT_THAT(tags(events().back()),
              UnorderedElementsAre("loss", "lr", "grad_norm", "update_norm", "tokens_per_second"));
}

TEST_F(EventFiles, AResumedRunOpensANewFileBehindTheOld) {
  { TensorBoardLog(directory_.path(), kRecipe, 0).on_step(report(9)); }
  // Within the same second, too.
  { TensorBoardLog(directory_.path(), kRecipe, 6).on_step(report(7)); }
  const auto files = test::event_files(directory_.path());
  ASSERT_EQ(files.size(), 2U);
  EXPECT_EQ(test::read_events(files[0]).events.back().step, 9);
  const std::vector<Event> resumed = test::read_events(files[1]).events;
  EXPECT_EQ(resumed.at(1).session_status, 1);
  EXPECT_EQ(resumed.at(1).step, 7);
  EXPECT_EQ(resumed.back().step, 7);
}

TEST_F(EventFiles, AreCompleteAfterEachStep) {
  TensorBoardLog log(directory_.path(), kRecipe, 0);
  for (std::int64_t step = 1; step <= 3; ++step) {
    log.on_step(report(step));
    const test::EventRecords records =
        test::read_events(test::event_files(directory_.path()).at(0));
    EXPECT_FALSE(records.torn);
    EXPECT_EQ(records.events.back().step, step);
  }
}

TEST_F(EventFiles, ATornRecordLeavesThoseBeforeIt) {
  { TensorBoardLog(directory_.path(), kRecipe, 0).on_step(report(1)); }
  const auto file = test::event_files(directory_.path()).at(0);
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 5);
  const test::EventRecords records = test::read_events(file);
  EXPECT_TRUE(records.torn);
  EXPECT_EQ(records.events.size(), 3U);
}

}  // namespace
}  // namespace clausius
