// SPDX-License-Identifier: Apache-2.0
// A run followed through its files: while it grows, is killed, resumed, started anew; and the report of a long one.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/base64.h"
#include "tests/support/sample_run.h"
#include "tests/support/temporary_directory.h"
#include "train/web/page.h"
#include "train/web/run_view.h"

namespace clausius::web {
namespace {

using test::SampleRun;
using test::TemporaryDirectory;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::uint16_t> codes_of(const Json& packed) {
  const std::string bytes = test::from_base64(packed.text());
  std::vector<std::uint16_t> codes(bytes.size() / 2);
  std::memcpy(codes.data(), bytes.data(), bytes.size());
  return codes;
}

// A number of a measure in a document, decoded as the page does.
double head_value(
    const Json& document, const char* name, std::size_t row, std::size_t layer, std::size_t head) {
  const Json& measure = document.at("heads").at("measures").at(name);
  const auto heads = static_cast<std::size_t>(measure.at("heads").integer());
  const auto layers = static_cast<std::size_t>(measure.at("layers").integer());
  const double low = measure.at("range").array()[0].number();
  const double high = measure.at("range").array()[1].number();
  const std::uint16_t code =
      codes_of(measure.at("value")).at((row * layers + layer) * heads + head);
  return code == 0 ? std::nan("") : low + (code - 1) * (high - low) / 65534;
}

std::vector<double> column(const Json& document, const char* name) {
  const std::string bytes =
      test::from_base64(document.at("samples").at("columns").at(name).at("value").text());
  std::vector<double> values(bytes.size() / sizeof(double));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

std::int64_t rows_of(const Json& document, const char* table) {
  return document.at(table).at("rows").integer();
}

TEST(WebRunView, TellsWhatTheFilesSay) {
  const TemporaryDirectory folder;
  SampleRun run(folder / "r", {.layers = 3, .heads = 4, .samples = 10, .linear_layer = 1});
  run.finish();
  RunView view(folder / "r");
  EXPECT_TRUE(view.refresh());
  EXPECT_FALSE(view.refresh());
  EXPECT_EQ(view.problem(), "");
  const Json document = view.document();
  EXPECT_EQ(column(document, "loss")[9], run.loss(10));  // to the bit
  EXPECT_EQ(rows_of(document, "samples"), 10);
  EXPECT_EQ(rows_of(document, "heads"), 10);
  for (std::size_t layer : {0U, 2U}) {
    EXPECT_NEAR(head_value(document, "entropy_normalized", 6, layer, 3),
                run.entropy_normalized(7, static_cast<std::int64_t>(layer), 3), 0.5 / 65534 + 1e-7);
  }
  EXPECT_TRUE(std::isnan(head_value(document, "entropy_normalized", 6, 1, 3)));
  EXPECT_EQ(document.at("facts").at("total_steps").integer(), 90);
  EXPECT_EQ(document.at("facts").at("collapse_below").number(), 0.05);
  EXPECT_THAT(document.at("facts").at("recipe").text(), HasSubstr("name: sample\n"));
  EXPECT_EQ(document.at("evaluations").at("steps").array().size(), 10U);
  EXPECT_EQ(view.status(0), "ended");
}

TEST(WebRunView, FollowsARunStepByStep) {
  const TemporaryDirectory folder;
  RunView view(folder / "r");
  EXPECT_FALSE(view.refresh());  // no directory yet
  EXPECT_EQ(view.status(0), "waiting");
  EXPECT_TRUE(view.document().at("heads").is_null());
  SampleRun run(folder / "r", {.samples = 40});
  EXPECT_TRUE(view.refresh());
  for (std::int64_t sample = 1; sample <= 5; ++sample) {
    run.sample();  // entropy.h5 is open for writing all the time
    EXPECT_TRUE(view.refresh());
    EXPECT_EQ(view.problem(), "");
    EXPECT_EQ(view.samples().last("loss"), run.loss(sample));
    EXPECT_EQ(view.heads().rows(), sample);
    EXPECT_EQ(view.heads().find("entropy_normalized")->bins.steps().back(), run.step());
    EXPECT_EQ(view.status(view.last_wall_time() + 1), "running");
  }
  EXPECT_EQ(view.status(view.last_wall_time() + 3600), "silent");
}

TEST(WebRunView, SendsOnlyTheBinsThatAPageLacks) {
  const TemporaryDirectory folder;
  SampleRun run(folder / "r", {.samples = 40});
  for (int i = 0; i < 5; ++i) {
    run.sample();
  }
  RunView view(folder / "r");
  view.refresh();
  const Json first = view.document();
  const auto have = [](const Json& table) {
    return Have{.epoch = table.at("epoch").integer(),
                .stride = table.at("stride").integer(),
                .bins = static_cast<std::int64_t>(table.at("steps").array().size())};
  };
  run.sample();
  view.refresh();
  const Json second = view.document(have(first.at("samples")), have(first.at("heads")));
  EXPECT_EQ(second.at("samples").at("first").integer(), 4);
  EXPECT_EQ(second.at("samples").at("steps"), Json(Json::Array{40, 50}));
  EXPECT_EQ(column(second, "loss"), (std::vector<double>{run.loss(5), run.loss(6)}));
  EXPECT_EQ(second.at("heads").at("steps"), Json(Json::Array{40, 50}));
  EXPECT_NEAR(head_value(second, "entropy_normalized", 1, 1, 2), run.entropy_normalized(6, 1, 2),
              1e-5);
  for (const Have wrong :
       {Have{.epoch = 99, .stride = 1, .bins = 5}, Have{.epoch = 0, .stride = 2, .bins = 5},
        Have{.epoch = 0, .stride = 1, .bins = 500}, Have{.epoch = 0, .stride = 1, .bins = -5}}) {
    EXPECT_EQ(view.document(wrong, wrong).at("samples").at("first").integer(), 0);
  }
}

TEST(WebRunView, AResumedRunTakesItsPastBack) {
  const TemporaryDirectory folder;
  SampleRun run(folder / "r", {.samples = 40});
  RunView view(folder / "r");
  for (int i = 0; i < 8; ++i) {
    run.sample();
  }
  view.refresh();
  const std::int64_t samples_epoch = view.document().at("samples").at("epoch").integer();
  const std::int64_t heads_epoch = view.heads().epoch();
  run.resume(5);
  view.refresh();
  EXPECT_EQ(view.samples().steps().back(), 40);
  EXPECT_EQ(view.heads().rows(), 5);
  EXPECT_EQ(view.evaluations().steps().size(), 1U);
  EXPECT_EQ(view.events().back().event, "resume");
  EXPECT_NE(view.document().at("samples").at("epoch").integer(), samples_epoch);
  EXPECT_NE(view.heads().epoch(), heads_epoch);
  run.sample();
  view.refresh();
  EXPECT_EQ(view.samples().steps(), (std::vector<std::int64_t>{1, 10, 20, 30, 40, 50}));
  EXPECT_EQ(view.heads().find("max_logit")->bins.steps(), view.samples().steps());
}

TEST(WebRunView, ARunStartedAnewReplacesTheOld) {
  const TemporaryDirectory folder;
  RunView view(folder / "r");
  {
    SampleRun old(folder / "r", {.samples = 30});
    old.finish();
  }
  view.refresh();
  SampleRun run(folder / "r", {.heads = 3, .samples = 30, .seed = 2});
  run.sample();
  view.refresh();
  EXPECT_THAT(view.samples().steps(), ElementsAre(1));
  EXPECT_EQ(view.samples().last("loss"), run.loss(1));
  EXPECT_EQ(view.heads().rows(), 1);
  EXPECT_EQ(view.heads().find("entropy_nats")->heads, 3);
  EXPECT_EQ(view.status(view.last_wall_time()), "running");
}

TEST(WebRunView, TornAndForeignLinesArePassedOver) {
  const TemporaryDirectory folder;
  SampleRun run(folder / "r", {.samples = 30});
  run.sample();
  std::ofstream metrics(folder / "r" / "metrics.jsonl", std::ios::app);
  metrics << "no line of ours\n{\"step\":10,\"loss\":" << std::flush;
  RunView view(folder / "r");
  view.refresh();
  EXPECT_THAT(view.samples().steps(), ElementsAre(1));
  EXPECT_EQ(view.bad_lines(), 1);
  metrics << "2.5}\n" << std::flush;
  view.refresh();
  EXPECT_THAT(view.samples().steps(), ElementsAre(1, 10));
  EXPECT_EQ(view.samples().last("loss"), 2.5);
}

TEST(WebRunView, WithoutAnEntropyFileTheTablesOfTheMetricsCount) {
  const TemporaryDirectory folder;
  SampleRun run(folder / "r",
                {.layers = 3, .samples = 30, .linear_layer = 1, .entropy_file = false});
  for (int i = 0; i < 4; ++i) {
    run.sample();
  }
  RunView view(folder / "r");
  view.refresh();
  EXPECT_EQ(view.heads().rows(), 4);
  const Json document = view.document();
  EXPECT_NEAR(head_value(document, "entropy_nats", 3, 2, 1), 4.1 * run.entropy_normalized(4, 2, 1),
              1e-4);
  EXPECT_TRUE(std::isnan(head_value(document, "entropy_nats", 3, 1, 1)));
  run.resume(2);
  view.refresh();
  EXPECT_EQ(view.heads().rows(), 2);
}

TEST(WebRunView, AnEntropyFileThatCannotBeReadIsToldAndTheRestGoesOn) {
  const TemporaryDirectory folder;
  SampleRun run(folder / "r", {.samples = 30, .entropy_file = false});
  run.sample();
  std::ofstream(folder / "r" / "entropy.h5") << "no HDF5";
  RunView view(folder / "r");
  view.refresh();
  EXPECT_THAT(view.problem(), HasSubstr("entropy.h5"));
  EXPECT_EQ(view.samples().last("loss"), run.loss(1));
  EXPECT_EQ(view.heads().rows(), 1);  // from the metrics
  std::filesystem::remove(folder / "r" / "entropy.h5");
  EXPECT_TRUE(view.refresh());
  EXPECT_EQ(view.problem(), "");
}

TEST(WebRunView, RecipesOfOtherVersionsAreShownAllTheSame) {
  const TemporaryDirectory folder;
  SampleRun run(folder / "r", {.samples = 3});
  run.finish();
  std::ofstream(folder / "r" / "recipe.resolved.yaml")
      << "train: {steps: 77, later: 1}\nmonitor: {collapse_below: 0.1, bands: [0.5], later: {a: "
         "1}}\nlater: 2\n";
  RunView view(folder / "r");
  view.refresh();
  EXPECT_EQ(view.problem(), "");
  EXPECT_EQ(view.facts().total_steps, 77);
  EXPECT_EQ(view.facts().monitor.collapse_below, 0.1);
  EXPECT_THAT(view.facts().monitor.bands, ElementsAre(0.5));
  std::ofstream(folder / "r" / "recipe.resolved.yaml") << "[no: recipe";
  view.refresh();
  EXPECT_THAT(view.problem(), HasSubstr("recipe.resolved.yaml"));
  EXPECT_EQ(view.samples().rows(), 3U);
}

TEST(WebRunView, AnyDatasetOfHeadsIsAMeasure) {
  const TemporaryDirectory folder;
  std::filesystem::create_directories(folder / "r");
  std::ofstream(folder / "r" / "metrics.jsonl") << "{\"step\":5,\"loss\":1}\n";
  Hdf5RowWriter writer(
      folder / "r" / "entropy.h5",
      {{.name = "step", .dtype = Dtype::kI64, .row_shape = {}, .attributes = {}},
       {.name = "sink_mass", .dtype = Dtype::kF32, .row_shape = {2, 3}, .attributes = {}},
       {.name = "spectral_norm", .dtype = Dtype::kF64, .row_shape = {2}, .attributes = {}},
       {.name = "count", .dtype = Dtype::kI64, .row_shape = {2, 3}, .attributes = {}}});
  writer.append({Tensor::from(std::vector<std::int64_t>{5}, {}),
                 Tensor::full({2, 3}, 0.25, Dtype::kF32), Tensor::full({2}, 3.0, Dtype::kF64),
                 Tensor::full({2, 3}, 1.0, Dtype::kI64)});
  RunView view(folder / "r");
  view.refresh();
  EXPECT_EQ(view.problem(), "");
  ASSERT_EQ(view.heads().measures().size(), 1U);
  EXPECT_EQ(view.heads().find("sink_mass")->heads, 3);
  EXPECT_EQ(view.heads().find("sink_mass")->bins.values(0)[5], 0.25F);
}

TEST(WebHeads, TheNearestRowIsExact) {
  const TemporaryDirectory folder;
  SampleRun run(folder / "r", {.samples = 10});
  run.finish();
  const auto row = nearest_row(folder / "r" / "entropy.h5", 34);
  ASSERT_TRUE(row);
  EXPECT_EQ(row->step, 30);
  EXPECT_EQ(row->tables.at("entropy_normalized")[1][2],
            static_cast<double>(static_cast<float>(run.entropy_normalized(4, 1, 2))));
  EXPECT_FALSE(nearest_row(folder / "none.h5", 3));
}

TEST(WebReport, TenThousandStepsOf144HeadsStayBelow5MB) {
  const TemporaryDirectory folder;
  SampleRun run(folder / "r", {.layers = 12, .heads = 12, .samples = 10000});
  run.finish();
  RunView view(folder / "r");
  view.refresh();
  Json document = view.document();
  EXPECT_EQ(rows_of(document, "heads"), 10000);
  EXPECT_LE(document.at("heads").at("steps").array().size(), 1000U);
  EXPECT_EQ(document.at("heads").at("measures").object().size(), 3U);
  Json data;
  data.set("version", "1");
  data.set("runs", Json::Array{document});
  const std::string page = report_page(data);
  EXPECT_LT(page.size(), 5'000'000U);
  RecordProperty("report_bytes", static_cast<int>(page.size()));
}

TEST(WebReport, IsOneFileWhoseDataCannotEndIt) {
  Json document;
  document.set("version", "</script><!-- <b>");
  document.set("runs", Json::Array{});
  const std::string page = report_page(document);
  EXPECT_EQ(page.find("</script><!--"), std::string::npos);
  EXPECT_THAT(page, HasSubstr("\\u003c/script>\\u003c!-- \\u003cb>"));
  EXPECT_THAT(page, HasSubstr("Content-Security-Policy"));
  for (const char* outside : {"src=", "href=\"page", "http://", "https://", "@import"}) {
    EXPECT_EQ(page.find(outside), std::string::npos) << outside;
  }
}

}  // namespace
}  // namespace clausius::web
