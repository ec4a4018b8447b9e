// SPDX-License-Identifier: Apache-2.0
// Pictures of runs: ticks, long lines, colours, and what is on the four panels.
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "train/plot/axes.h"
#include "train/plot/colors.h"
#include "train/plot/run_figure.h"
#include "train/plot/svg.h"

namespace clausius {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

TEST(Axes, TicksAreRound) {
  EXPECT_THAT(nice_ticks({0, 1}, 5), ElementsAre(0, 0.2, 0.4, 0.6000000000000001, 0.8, 1));
  EXPECT_THAT(nice_ticks({1.2, 5.6}, 5), ElementsAre(2, 3, 4, 5));
  EXPECT_THAT(nice_ticks({0, 600}, 6), ElementsAre(0, 100, 200, 300, 400, 500, 600));
  EXPECT_THAT(nice_ticks({3, 3}, 6), ElementsAre(3));
  for (const double tick : nice_ticks({-0.0, 20000}, 6)) {
    EXPECT_FALSE(std::signbit(tick));
  }
}

TEST(Axes, LongLinesKeepTheirExtremes) {
  std::vector<Point> points;
  for (int i = 0; i < 100000; ++i) {
    points.push_back({static_cast<double>(i), i == 54321 ? 9.0 : i == 77777 ? -9.0 : 0.0});
  }
  points[5].y = std::nan("");
  const std::vector<Point> shown = decimate(points, 300);
  EXPECT_LE(shown.size(), 600U);
  double low = 0;
  double high = 0;
  for (std::size_t i = 0; i < shown.size(); ++i) {
    low = std::min(low, shown[i].y);
    high = std::max(high, shown[i].y);
    EXPECT_TRUE(i == 0 || shown[i - 1].x < shown[i].x);
  }
  EXPECT_EQ(low, -9.0);
  EXPECT_EQ(high, 9.0);
  EXPECT_EQ(decimate(std::span(points).first(10), 300).size(), 9U);  // without the NaN
}

TEST(Axes, ValuesMeetTheCorners) {
  const Axes axes({100, 50, 200, 80}, {0, 10}, {-1, 1});
  EXPECT_EQ(axes.pixel({0, -1}).x, 100);
  EXPECT_EQ(axes.pixel({0, -1}).y, 130);
  EXPECT_EQ(axes.pixel({10, 1}).x, 300);
  EXPECT_EQ(axes.pixel({10, 1}).y, 50);
}

TEST(Viridis, RunsFromDarkToBright) {
  EXPECT_EQ(viridis(0), "#440154");
  EXPECT_EQ(viridis(-3), "#440154");
  EXPECT_EQ(viridis(1), "#fde725");
  EXPECT_EQ(viridis(1.0 / 3), "#31688e");
  EXPECT_EQ(ink_on_viridis(0.1), "#ffffff");
}

TEST(Svg, EscapesText) {
  Svg svg(10, 10);
  svg.text({1, 2}, "a < b & \"c\"\n");
  svg.rectangle({0, 0, 1, 1}, "#000000");
  svg.title("x > y");
  const std::string text = svg.finish();
  EXPECT_THAT(text, HasSubstr("a &lt; b &amp; &quot;c&quot; </text>"));
  EXPECT_THAT(text, HasSubstr("><title>x &gt; y</title></rect>"));
  EXPECT_EQ(count_of(text, "<svg "), 1U);
  EXPECT_EQ(count_of(text, "</svg>"), 1U);
}

RunHistory small_history() {
  RunHistory history;
  for (std::int64_t step = 10; step <= 50; step += 10) {
    StepRecord record{
        .step = step, .tokens = step * 64, .loss = 5.0 - static_cast<double>(step) / 20};
    record.entropy_normalized = {{0.9, 0.1, 0.5}, {}, {std::nan(""), 0.7, 0.2}};
    record.entropy_nats = record.entropy_normalized;
    record.bands = {0.4, 0.2, 0.2, 0.2};
    history.steps.push_back(record);
  }
  history.evaluations = {{.step = 25, .val_loss = 4.0}, {.step = 50, .val_loss = 3.0}};
  history.events = {{.step = 20, .event = "alarm", .message = "raised: collapse"},
                    {.step = 30, .event = "alarm", .message = "cleared: collapse"}};
  return history;
}

TEST(RunFigure, ShowsWhatTheRunDid) {
  const std::string svg = run_figure(small_history(), {.title = "a <run>",
                                                       .subtitle = "facts",
                                                       .bands = {0.25, 0.5, 0.75},
                                                       .collapse_below = 0.05,
                                                       .overload_above = 0.95});
  EXPECT_THAT(svg, HasSubstr("a &lt;run&gt;"));
  EXPECT_THAT(svg, HasSubstr("Entropy of each head at step 50"));
  EXPECT_EQ(count_of(svg, "validation loss"), 2U);
  // Five heads have an entropy; one has none, and neither has the layer of three.
  EXPECT_THAT(svg, HasSubstr("<title>layer 0, head 0: 0.900</title>"));
  EXPECT_EQ(count_of(svg, ": no entropy</title>"), 4U);
  EXPECT_EQ(count_of(svg, "fill=\"" + viridis(0.9) + "\""), 1U);
  EXPECT_THAT(svg, HasSubstr("0.25 - 0.5"));
  EXPECT_THAT(svg, HasSubstr("alarm raised"));
  EXPECT_THAT(svg, HasSubstr(">layer 2</text>"));
  EXPECT_THAT(svg, Not(HasSubstr(">layer 1</text>")));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
}

TEST(RunFigure, EmptyRunsSaySo) {
  const std::string svg = run_figure({}, {.title = "new", .subtitle = ""});
  EXPECT_THAT(svg, HasSubstr("no sampled step yet"));
  EXPECT_EQ(count_of(svg, "no head has an entropy"), 3U);
}

TEST(RunFigure, LongRunsStaySmall) {
  RunHistory history;
  for (std::int64_t step = 1; step <= 20000; ++step) {
    StepRecord record{.step = step, .loss = 2.0 + std::sin(static_cast<double>(step))};
    record.entropy_normalized = {{0.5, 0.25}};
    record.bands = {0.5, 0.5};
    history.steps.push_back(record);
  }
  EXPECT_LT(run_figure(history, {.title = "long", .subtitle = "", .bands = {0.5}}).size(), 120000U);
}

}  // namespace
}  // namespace clausius
