// SPDX-License-Identifier: Apache-2.0
// A transport over shared memory and barriers.
#include "tests/core/comm/thread_transport.h"

#include <barrier>
#include <cstring>
#include <exception>
#include <thread>
#include <utility>
#include <vector>

#include "core/comm/transport.h"

namespace clausius::test {
namespace {

using detail::IncomingBytes;
using detail::OutgoingBytes;

struct Hub {
  explicit Hub(int ranks) : send(static_cast<std::size_t>(ranks)), meet(ranks) {}
  std::vector<std::vector<OutgoingBytes>> send;
  std::barrier<> meet;
};

class ThreadTransport final : public detail::Transport {
 public:
  ThreadTransport(std::shared_ptr<Hub> hub, int rank) : hub_(std::move(hub)), rank_(rank) {}

  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int size() const override { return static_cast<int>(hub_->send.size()); }
  [[nodiscard]] int local_rank() const override { return rank_; }
  [[nodiscard]] int local_size() const override { return size(); }
  [[nodiscard]] int cores_per_rank() const override { return 1; }
  [[nodiscard]] std::string description() const override { return "threads"; }
  [[nodiscard]] bool allows_thread() const override { return true; }

  void exchange(const std::vector<OutgoingBytes>& send,
                const std::vector<IncomingBytes>& receive) override {
    const auto me = static_cast<std::size_t>(rank_);
    hub_->send[me] = send;
    hub_->meet.arrive_and_wait();
    for (std::size_t r = 0; r < receive.size(); ++r) {
      if (r != me && !receive[r].empty()) {
        check_sizes(hub_->send[r][me].size(), receive[r].size());
        std::memcpy(receive[r].data(), hub_->send[r][me].data(), receive[r].size());
      }
    }
    hub_->meet.arrive_and_wait();
  }

  void gather(OutgoingBytes mine, IncomingBytes all) override {
    const std::vector<OutgoingBytes> send(hub_->send.size(), mine);
    std::vector<IncomingBytes> receive;
    for (std::size_t r = 0; r < send.size(); ++r) {
      receive.push_back(all.subspan(r * mine.size(), mine.size()));
    }
    std::memcpy(receive[static_cast<std::size_t>(rank_)].data(), mine.data(), mine.size());
    exchange(send, receive);
  }

  void broadcast(IncomingBytes bytes, int root) override {
    std::vector<OutgoingBytes> send(hub_->send.size());
    std::vector<IncomingBytes> receive(hub_->send.size());
    if (rank_ == root) {
      send.assign(send.size(), bytes);
    } else {
      receive[static_cast<std::size_t>(root)] = bytes;
    }
    exchange(send, receive);
  }

  void barrier() override { hub_->meet.arrive_and_wait(); }

 private:
  static void check_sizes(std::size_t sent, std::size_t wanted) {
    CLS_CHECK(sent == wanted, CommError, "sent ", sent, " bytes, wanted ", wanted);
  }

  std::shared_ptr<Hub> hub_;
  int rank_;
};

}  // namespace

void run_ranks(int ranks,
               const CommunicatorOptions& options,
               const std::function<void(Communicator&)>& body) {
  const auto hub = std::make_shared<Hub>(ranks);
  std::vector<std::exception_ptr> failures(static_cast<std::size_t>(ranks));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        const auto communicator =
            detail::make_host_communicator(std::make_unique<ThreadTransport>(hub, rank), options);
        body(*communicator);
      } catch (...) {
        failures[static_cast<std::size_t>(rank)] = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  for (const std::exception_ptr& failure : failures) {
    if (failure) {
      std::rethrow_exception(failure);
    }
  }
}

}  // namespace clausius::test
