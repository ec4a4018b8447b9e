// SPDX-License-Identifier: Apache-2.0
// MonitorServer on cpp-httplib. The only place that knows the HTTP library.
#include "train/web/server.h"

#include <atomic>
#include <chrono>
#include <httplib.h>
#include <map>
#include <sys/socket.h>
#include <thread>

#include "core/error.h"
#include "train/web/api.h"

namespace clausius::web {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kThreads = 24;
// A stream holds a thread for as long as a page is open; the rest is for answers. A page without a stream asks every few seconds.
constexpr int kMostStreams = 16;
constexpr milliseconds kLook{500};  // between looks at the files
constexpr milliseconds kHeartbeat{
    5000};  // between signs of life on a stream: this is how a closed page is noticed

// The library's own options let two servers share a port.
void socket_options(socket_t socket) {
  const int yes = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
}

WebRequest request_of(const httplib::Request& received) {
  WebRequest request{.method = received.method,
                     .path = received.path,
                     .host = received.get_header_value("Host"),
                     .query = {}};
  for (const auto& [key, value] : received.params) {
    request.query[key] = value;
  }
  return request;
}

void send(const WebAnswer& answer, httplib::Response& response) {
  response.status = answer.status;
  for (const auto& headers : {common_headers(), answer.headers}) {
    for (const auto& [key, value] : headers) {
      response.set_header(key, value);
    }
  }
  if (answer.body.empty()) {
    return response.set_content(std::string(), answer.type);
  }
  // By a provider: a body that is set would be compressed by Brotli's slowest setting, 0.7 s for a megabyte, which base64 hardly rewards.
  const auto body = std::make_shared<const std::string>(answer.body);
  response.set_content_provider(
      body->size(), answer.type,
      [body](std::size_t offset, std::size_t length, httplib::DataSink& sink) {
        return sink.write(body->data() + offset, length);
      });
}

}  // namespace

struct MonitorServer::Impl {
  RunSet& runs;
  ServerOptions options;
  httplib::Server server;
  std::atomic<int> streams{0};
  std::thread watcher;
  std::thread listener;

  Impl(RunSet& all_runs, ServerOptions all_options)
      : runs(all_runs), options(std::move(all_options)) {}

  void stream_events(httplib::Response& response) {
    if (++streams > kMostStreams) {
      --streams;
      WebAnswer refused;
      refused.status = 503;
      refused.body = "{\"error\":\"too many pages are open\"}\n";
      return send(refused, response);
    }
    for (const auto& [key, value] : common_headers()) {
      response.set_header(key, value);
    }
    response.status = 200;
    const auto seen = std::make_shared<std::int64_t>(-1);
    response.set_chunked_content_provider(
        "text/event-stream",
        [this, seen](std::size_t /*offset*/, httplib::DataSink& sink) {
          const std::int64_t now = runs.wait_for_change(*seen, kHeartbeat);
          if (runs.stopped()) {
            sink.done();
            return true;
          }
          const std::string text = now != *seen ? concat("event: change\ndata: ", now, "\n\n")
                                                : std::string(": still here\n\n");
          *seen = now;
          return sink.is_writable() && sink.write(text.data(), text.size());
        },
        [this](bool /*success*/) { --streams; });
  }

  void prepare() {
    server.new_task_queue = [] {
      return new httplib::ThreadPool(kThreads);
    };  // the server's to delete
    server.set_socket_options(socket_options);
    server.set_payload_max_length(0);
    server.set_keep_alive_max_count(100);
    server.set_tcp_nodelay(true);
    server.set_pre_routing_handler(
        [this](const httplib::Request& received, httplib::Response& response) {
          const WebRequest request = request_of(received);
          const bool streams_events = request.path == "/events" && request.method == "GET" &&
                                      is_own_host(request.host, options.bind);
          if (streams_events) {
            stream_events(response);
          } else {
            send(answer(runs, request, options.bind), response);
          }
          return httplib::Server::HandlerResponse::Handled;
        });
  }

  void listen() {
    const bool bound = options.port == 0
                           ? (options.port = server.bind_to_any_port(options.bind)) > 0
                           : server.bind_to_port(options.bind, options.port);
    CLS_CHECK(
        bound, ConfigError, "cannot listen on ", options.bind, " port ", options.port,
        ": it is in use, or no address of this machine; choose others with --port and --bind");
    runs.refresh();
    watcher = std::thread([this] {
      while (!runs.wait_for_stop(kLook)) {
        runs.refresh();
      }
    });
    listener = std::thread([this] { server.listen_after_bind(); });
  }
};

MonitorServer::MonitorServer(RunSet& runs, ServerOptions options)
    : impl_(std::make_unique<Impl>(runs, std::move(options))) {
  impl_->prepare();
  impl_->listen();
}

MonitorServer::~MonitorServer() {
  impl_->runs.stop();
  // stop() before the listener has begun to accept would be forgotten.
  while (!impl_->server.is_running()) {
    std::this_thread::sleep_for(milliseconds(1));
  }
  impl_->server.stop();
  impl_->listener.join();
  impl_->watcher.join();
}

int MonitorServer::port() const {
  return impl_->options.port;
}

std::string MonitorServer::url() const {
  const std::string& bind = impl_->options.bind;
  const std::string host = bind.find(':') == std::string::npos ? bind : "[" + bind + "]";
  return concat("http://", host, ":", port(), "/");
}

}  // namespace clausius::web
