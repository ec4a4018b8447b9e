// SPDX-License-Identifier: Apache-2.0
// What the monitor answers, without and with sockets.
#include <algorithm>
#include <httplib.h>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/sample_run.h"
#include "tests/support/temporary_directory.h"
#include "train/web/api.h"
#include "train/web/page.h"
#include "train/web/server.h"

namespace clausius::web {
namespace {

using test::SampleRun;
using test::TemporaryDirectory;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Two runs, a and b "c, of 10 samples.
class WebApi : public ::testing::Test {
 protected:
  WebApi()
      : a_(folder_ / "a", {.samples = 10}),
        b_(folder_ / "b \"c", {.samples = 10, .seed = 2}),
        runs_({(folder_ / "a").string(), (folder_ / "b \"c").string()}) {
    a_.finish();
    b_.finish();
    runs_.refresh();
  }

  WebAnswer get(const std::string& path,
                const std::map<std::string, std::string>& query = {},
                const std::string& method = "GET") {
    return answer(runs_, {.method = method, .path = path, .host = "localhost:1", .query = query},
                  "127.0.0.1");
  }

  TemporaryDirectory folder_;
  SampleRun a_;
  SampleRun b_;
  RunSet runs_;
};

TEST_F(WebApi, GivesThePageAndTheRuns) {
  EXPECT_EQ(get("/").body, page_html());
  EXPECT_THAT(get("/").type, StartsWith("text/html"));
  EXPECT_EQ(get("/page.css").body, page_css());
  EXPECT_EQ(get("/page.js").body, page_js());
  EXPECT_EQ(get("/healthz").body, "ok\n");
  const Json list = Json::parse(get("/api/runs").body, "runs");
  ASSERT_EQ(list.at("runs").array().size(), 2U);
  EXPECT_EQ(list.at("runs").array()[1].at("name").text(), "b \"c");
  EXPECT_EQ(list.at("runs").array()[0].at("status").text(), "ended");
  const Json series = Json::parse(get("/api/run/1/series").body, "series");
  EXPECT_EQ(series.at("id").integer(), 1);
  EXPECT_EQ(series.at("samples").at("rows").integer(), 10);
  const Json rest =
      Json::parse(get("/api/run/1/series", {{"samples", "0,1,9"}, {"heads", ""}}).body, "series");
  EXPECT_EQ(rest.at("heads").at("first").integer(), 0);
}

TEST_F(WebApi, GivesLinesOfTheMetricsFromAByteOn) {
  const WebAnswer all = get("/api/run/0/metrics");
  EXPECT_THAT(all.body, StartsWith("{\"wall_time\":"));
  EXPECT_EQ(all.headers.at("X-Next-Offset"), std::to_string(all.body.size()));
  const std::size_t second = all.body.find('\n') + 1;
  EXPECT_EQ(get("/api/run/0/metrics", {{"from", std::to_string(second)}}).body,
            all.body.substr(second));
  const std::string end = std::to_string(all.body.size());
  EXPECT_EQ(get("/api/run/0/metrics", {{"from", end}}).body, "");
  EXPECT_EQ(get("/api/run/0/metrics", {{"from", end}}).headers.at("X-Next-Offset"), end);
}

TEST_F(WebApi, GivesAllHeadsAtAStepExactly) {
  const Json row = Json::parse(get("/api/run/0/entropy", {{"step", "31"}}).body, "row");
  EXPECT_EQ(row.at("step").integer(), 30);
  EXPECT_EQ(row.at("entropy_normalized").array()[1].array()[3].number(),
            static_cast<double>(static_cast<float>(a_.entropy_normalized(4, 1, 3))));
  EXPECT_EQ(Json::parse(get("/api/run/0/entropy").body, "row").at("step").integer(), 90);
}

TEST_F(WebApi, NoPathLeadsToAFile) {
  for (const char* path : {"/..",
                           "/../a/metrics.jsonl",
                           "/api/run/../metrics",
                           "/api/run/0/../../a",
                           "/api/run/0/recipe.resolved.yaml",
                           "/api/run/0/metrics/../recipe.resolved.yaml",
                           "/api/run/a/metrics",
                           "/api/run/-1/series",
                           "/api/run/2/series",
                           "/api/run/0x0/series",
                           "/api/run/ 0/series",
                           "/api/run/99999999999999999999/series",
                           "/api/run/",
                           "/api/run/0",
                           "/api/run//etc/passwd",
                           "//etc/passwd",
                           "/etc/passwd",
                           "/page.html",
                           "",
                           "/%2e%2e/"}) {
    const WebAnswer refused = get(path);
    EXPECT_EQ(refused.status, 404) << path;
    EXPECT_THAT(refused.body, StartsWith("{\"error\":")) << path;
  }
}

TEST_F(WebApi, RefusesWhatIsNoNumberOrNoGet) {
  EXPECT_EQ(get("/api/run/0/metrics", {{"from", "../x"}}).status, 400);
  EXPECT_EQ(get("/api/run/0/entropy", {{"step", ""}}).status, 400);
  for (const char* have : {"1", "1,2", "1,2,x", "1,2,3,4", ",,"}) {
    EXPECT_EQ(get("/api/run/0/series", {{"samples", have}}).status, 400) << have;
  }
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "PATCH"}) {
    EXPECT_EQ(get("/", {}, method).status, 405) << method;
  }
  EXPECT_EQ(get("/", {}, "HEAD").status, 200);
}

TEST(WebHost, OwnNamesAndAddressesAlone) {
  for (const char* host :
       {"localhost", "LOCALHOST:8750", "127.0.0.1:1", "[::1]:80", "[::1]", "10.1.2.3"}) {
    EXPECT_TRUE(is_own_host(host, "127.0.0.1")) << host;
  }
  for (const char* host : {"", "evil.example", "evil.example:8750", "localhost.evil.example",
                           "127.0.0.1.evil.example", "[::1", "[evil]", ":80", "127.0.0.1evil"}) {
    EXPECT_FALSE(is_own_host(host, "127.0.0.1")) << host;
    EXPECT_FALSE(is_own_host(host, "0.0.0.0")) << host;
  }
  EXPECT_TRUE(is_own_host("node7", "node7"));
  EXPECT_FALSE(is_own_host("node7", "127.0.0.1"));
  const TemporaryDirectory folder;
  const RunSet runs({folder.path().string()});
  EXPECT_EQ(answer(runs, {.path = "/", .host = "evil.example", .query = {}}, "127.0.0.1").status,
            403);
}

TEST(WebRunSet, AMisspeltPathIsAnError) {
  const TemporaryDirectory folder;
  const RunSet later({(folder / "not_yet").string()});
  EXPECT_EQ(later.size(), 1U);
  EXPECT_THROW(RunSet({(folder / "no" / "such").string()}), IoError);
}

// Every line a comment or `name{labels} number`, families together, the last line ended.
TEST_F(WebApi, PrometheusTextIsInOrder) {
  const WebAnswer metrics = get("/metrics");
  EXPECT_THAT(metrics.type, StartsWith("text/plain; version=0.0.4"));
  ASSERT_EQ(metrics.body.back(), '\n');
  std::istringstream lines(metrics.body);
  std::set<std::string> seen;
  std::string family;
  std::map<std::string, double> samples;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# HELP ")) {
      family = line.substr(7, line.find(' ', 7) - 7);
      EXPECT_TRUE(seen.insert(family).second) << family;
    } else if (line.starts_with("# TYPE ")) {
      EXPECT_THAT(line, StartsWith("# TYPE " + family + " "));
    } else {
      EXPECT_THAT(line, StartsWith(family));
      const std::size_t end = line.rfind("} ");
      ASSERT_NE(end, std::string::npos) << line;
      samples[line.substr(0, end + 1)] = std::stod(line.substr(end + 2));
    }
  }
  EXPECT_EQ(samples.at("clausius_loss{run=\"a\"}"), a_.loss(10));
  EXPECT_EQ(samples.at("clausius_step{run=\"b \\\"c\"}"), 90);
  EXPECT_EQ(samples.at("clausius_attention_entropy_normalized{run=\"a\",layer=\"1\",head=\"2\"}"),
            static_cast<double>(static_cast<float>(a_.entropy_normalized(10, 1, 2))));
  EXPECT_EQ(samples.at("clausius_step_seconds_bucket{run=\"a\",le=\"+Inf\"}"), 10);
  EXPECT_EQ(samples.at("clausius_step_seconds_count{run=\"a\"}"), 10);
  EXPECT_EQ(samples.at("clausius_step_seconds_bucket{run=\"a\",le=\"0.1\"}"), 0);
  EXPECT_EQ(samples.at("clausius_step_seconds_bucket{run=\"a\",le=\"0.3\"}"), 10);
  EXPECT_EQ(samples.at("clausius_run_up{run=\"a\"}"), 0);
  EXPECT_EQ(samples.at("clausius_alarms{run=\"a\"}"), 1);
}

TEST(WebServer, AnswersOverHttpAndTellsOfChanges) {
  const TemporaryDirectory folder;
  SampleRun run(folder / "r", {.samples = 40});
  run.sample();
  RunSet runs({(folder / "r").string()});
  std::string told;
  {
    const MonitorServer server(runs, {.bind = "127.0.0.1", .port = 0});
    EXPECT_EQ(server.url(), "http://127.0.0.1:" + std::to_string(server.port()) + "/");
    httplib::Client client("127.0.0.1", server.port());
    const auto page = client.Get("/");
    ASSERT_TRUE(page);
    EXPECT_EQ(page->body, page_html());
    EXPECT_THAT(page->get_header_value("Content-Security-Policy"),
                StartsWith("default-src 'none'"));
    EXPECT_EQ(page->get_header_value("Cache-Control"), "no-store");
    EXPECT_EQ(client.Get("/api/run/0/metrics?from=x")->status, 400);
    EXPECT_EQ(client.Get("/..%2f..%2fetc%2fpasswd")->status, 404);
    EXPECT_EQ(client.Get("/", {{"Host", "evil.example"}})->status, 403);
    EXPECT_EQ(client.Get("/events", {{"Host", "evil.example"}})->status, 403);
    EXPECT_EQ(client.Post("/", "", "text/plain")->status, 405);
    const auto events = client.Get("/events", [&](const char* data, std::size_t size) {
      const bool first = told.empty();
      told.append(data, size);
      if (first) {
        run.sample();
      }
      return std::count(told.begin(), told.end(), '\n') < 6;  // two events
    });
    EXPECT_THAT(told, StartsWith("event: change\ndata: 1\n\nevent: change\ndata: 2\n\n"));
    const Json series = Json::parse(client.Get("/api/run/0/series")->body, "series");
    EXPECT_EQ(series.at("samples").at("rows").integer(), 2);
  }
  EXPECT_TRUE(runs.stopped());
}

TEST(WebServer, AnAddressThatIsTakenIsAnError) {
  const TemporaryDirectory folder;
  RunSet runs({folder.path().string()});
  const MonitorServer server(runs, {.bind = "127.0.0.1", .port = 0});
  RunSet others({folder.path().string()});
  EXPECT_THROW(MonitorServer(others, {.bind = "127.0.0.1", .port = server.port()}), ConfigError);
  EXPECT_THROW(MonitorServer(others, {.bind = "192.0.2.1", .port = 0}), ConfigError);
}

TEST(WebServer, OpenStreamsDoNotKeepItFromEnding) {
  const TemporaryDirectory folder;
  RunSet runs({folder.path().string()});
  std::thread reader;
  std::atomic<bool> open{false};
  {
    const MonitorServer server(runs, {.bind = "127.0.0.1", .port = 0});
    reader = std::thread([&open, port = server.port()] {
      httplib::Client client("127.0.0.1", port);
      static_cast<void>(
          client.Get("/events", [&](const char*, std::size_t) { return open = true; }));
    });
    while (!open) {
      std::this_thread::yield();
    }
  }
  reader.join();  // the stream has ended with the server
}

}  // namespace
}  // namespace clausius::web
