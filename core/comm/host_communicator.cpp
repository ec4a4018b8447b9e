// SPDX-License-Identifier: Apache-2.0
// Collectives on host tensors over any transport: each rank owns a slice, adds the others' in a
// fixed order, and hands it round.
#include <cstring>
#include <functional>
#include <utility>

#include "core/checked.h"
#include "core/comm/ordered_reduce.h"
#include "core/comm/transport.h"
#include "core/comm/watchdog.h"
#include "core/comm/work.h"

namespace clausius::detail {
namespace {

// Up to this many bytes on all ranks together, everybody gets everything in one step and adds it up
// alone.
constexpr std::int64_t kSmallBytes = 64 << 10;

bool wants_thread(const Transport& transport, Overlap overlap) {
  return transport.allows_thread() &&
         (overlap == Overlap::kThread ||
          (overlap == Overlap::kAuto && transport.cores_per_rank() > 1));
}

class HostCommunicator final : public Communicator {
 public:
  HostCommunicator(std::unique_ptr<Transport> transport, const CommunicatorOptions& options)
      : options_(options),
        watchdog_(transport->rank(), std::chrono::seconds(options.timeout_s)),
        transport_(std::move(transport)),
        rank_(transport_->rank()),
        size_(transport_->size()),
        queue_(std::make_unique<WorkQueue>(wants_thread(*transport_, options.overlap))) {}

  ~HostCommunicator() override {
    queue_.reset();
    const Watchdog::Scope scope(watchdog_, "leaving the communicator");
    transport_.reset();
  }

  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int size() const override { return size_; }
  [[nodiscard]] int local_rank() const override { return transport_->local_rank(); }
  [[nodiscard]] int local_size() const override { return transport_->local_size(); }
  [[nodiscard]] int cores_per_rank() const override { return transport_->cores_per_rank(); }
  [[nodiscard]] Overlap overlap() const override {
    return queue_->threaded() ? Overlap::kThread : Overlap::kInline;
  }
  [[nodiscard]] std::string description() const override { return transport_->description(); }

  using Communicator::all_reduce;
  void all_reduce(Tensor& values, ReduceOp op, std::string_view what) override {
    check_device(values, kCpu, "all_reduce", what);
    check_reducible(values, "all_reduce", what);
    run("all_reduce", what, [this, &values, op] { reduce_all(values, op); }).wait();
  }
  void reduce_scatter(const Tensor& values, Tensor& mine, std::string_view what) override {
    check_device(values, kCpu, "reduce_scatter", what);
    check_reducible(values, "reduce_scatter", what);
    check_parts(mine, values, size_, "reduce_scatter", what);
    run("reduce_scatter", what, [this, &values, &mine] { reduce_part(values, mine); }).wait();
  }
  void all_gather(const Tensor& mine, Tensor& all, std::string_view what) override {
    check_device(all, kCpu, "all_gather", what);
    check_parts(mine, all, size_, "all_gather", what);
    run("all_gather", what, [this, &mine, &all] { gather_parts(mine, all); }).wait();
  }
  void broadcast(Tensor& values, int root, std::string_view what) override {
    check_device(values, kCpu, "broadcast", what);
    check_collective(values, "broadcast", what);
    CLS_CHECK(root >= 0 && root < size_, ShapeError, "broadcast '", what, "': there is no rank ",
              root, " among ", size_);
    run("broadcast", what, [this, &values, root] {
      transport_->broadcast({values.raw(), values.bytes()}, root);
    }).wait();
  }
  void barrier(std::string_view what) override {
    run("barrier", what, [this] { transport_->barrier(); }).wait();
  }

  [[nodiscard]] Work all_reduce_async(Tensor values, std::string_view what) override {
    check_device(values, kCpu, "all_reduce", what);
    check_reducible(values, "all_reduce", what);
    return run("all_reduce", what, [this, values]() mutable {
      sends_bf16(values) ? reduce_all_bf16(values) : reduce_all(values, ReduceOp::kSum);
    });
  }
  [[nodiscard]] Work reduce_scatter_async(Tensor values,
                                          Tensor mine,
                                          std::string_view what) override {
    check_device(values, kCpu, "reduce_scatter", what);
    check_reducible(values, "reduce_scatter", what);
    check_parts(mine, values, size_, "reduce_scatter", what);
    return run("reduce_scatter", what, [this, values, mine]() mutable {
      sends_bf16(values) ? reduce_part_bf16(values, mine) : reduce_part(values, mine);
    });
  }
  [[nodiscard]] Work all_gather_async(Tensor mine, Tensor all, std::string_view what) override {
    check_device(all, kCpu, "all_gather", what);
    check_parts(mine, all, size_, "all_gather", what);
    return run("all_gather", what, [this, mine, all]() mutable { gather_parts(mine, all); });
  }

 private:
  struct Range {
    std::int64_t begin = 0;
    std::int64_t count = 0;
  };

  Work run(std::string_view collective, std::string_view what, std::function<void()> call) {
    std::string label =
        what.empty() ? std::string(collective) : concat(collective, " '", what, "'");
    return queue_->submit([this, label = std::move(label), call = std::move(call)] {
      const ErrorFrame frame(label);
      const Watchdog::Scope scope(watchdog_, label);
      call();
    });
  }

  [[nodiscard]] bool sends_bf16(const Tensor& values) const {
    return values.dtype() == Dtype::kF32 && options_.reduce_dtype == Dtype::kBf16;
  }

  // Elements [begin, begin + count) that rank r owns among n.
  [[nodiscard]] Range slice(std::int64_t n, int r) const {
    const std::int64_t begin = n / size_ * r + std::min<std::int64_t>(r, n % size_);
    return {.begin = begin, .count = n / size_ + (r < n % size_ ? 1 : 0)};
  }

  // `count` bytes that live until the next call with this buffer.
  static std::byte* scratch(Tensor& buffer, std::int64_t bytes) {
    if (!buffer.defined() || buffer.numel() < bytes) {
      buffer = Tensor::empty({bytes}, Dtype::kU8);
    }
    return buffer.raw();
  }

  // Calls body(first, count) for stretches of [0, n) of one segment each.
  template <class Body>
  void for_segments(std::int64_t n, std::int64_t bytes_per_item, const Body& body) const {
    const std::int64_t stretch = std::max<std::int64_t>(1, options_.segment_bytes / bytes_per_item);
    for (std::int64_t begin = 0; begin < n; begin += stretch) {
      body(begin, std::min(stretch, n - begin));
    }
  }

  // Hands round slices of data[0 .. n): each rank gives its own and gets the others'.
  void share_slices(std::byte* data, std::int64_t n, std::int64_t element) {
    const Range own = slice(n, rank_);
    std::vector<OutgoingBytes> send(
        static_cast<std::size_t>(size_),
        OutgoingBytes(data + own.begin * element, static_cast<std::size_t>(own.count * element)));
    std::vector<IncomingBytes> receive(send.size());
    for (int r = 0; r < size_; ++r) {
      const Range range = slice(n, r);
      receive[static_cast<std::size_t>(r)] = {data + range.begin * element,
                                              static_cast<std::size_t>(range.count * element)};
    }
    transport_->exchange(send, receive);
  }

  // blocks[r] = rank r's version of this rank's part; part r of the local data starts at `part(r)`
  // and goes to rank r.
  template <class Part>
  void collect_blocks(std::byte* blocks, std::int64_t own_bytes, const Part& part) {
    std::vector<OutgoingBytes> send(static_cast<std::size_t>(size_));
    std::vector<IncomingBytes> receive(send.size());
    for (int r = 0; r < size_; ++r) {
      send[static_cast<std::size_t>(r)] = part(r);
      receive[static_cast<std::size_t>(r)] = {blocks + r * own_bytes,
                                              static_cast<std::size_t>(own_bytes)};
    }
    transport_->exchange(send, receive);
    const OutgoingBytes own = part(rank_);
    if (!own.empty()) {
      std::memcpy(blocks + rank_ * own_bytes, own.data(), own.size());
    }
  }

  void reduce_all(Tensor& values, ReduceOp op) {
    const auto element = narrow<std::int64_t>(size_of(values.dtype()));
    for_segments(values.numel(), element, [&](std::int64_t begin, std::int64_t n) {
      std::byte* const data = values.raw() + begin * element;
      const std::int64_t bytes = n * element;
      if (bytes * size_ <= kSmallBytes) {
        std::byte* const all = scratch(blocks_, bytes * size_);
        transport_->gather({data, static_cast<std::size_t>(bytes)},
                           {all, static_cast<std::size_t>(bytes * size_)});
        reduce_blocks(all, size_, n, values.dtype(), op, options_.order);
        std::memcpy(data, all, static_cast<std::size_t>(bytes));
        return;
      }
      const Range own = slice(n, rank_);
      std::byte* const blocks = scratch(blocks_, own.count * element * size_);
      collect_blocks(blocks, own.count * element, [&](int r) {
        const Range range = slice(n, r);
        return OutgoingBytes(data + range.begin * element,
                             static_cast<std::size_t>(range.count * element));
      });
      reduce_blocks(blocks, size_, own.count, values.dtype(), op, options_.order);
      std::memcpy(data + own.begin * element, blocks,
                  static_cast<std::size_t>(own.count * element));
      share_slices(data, n, element);
    });
  }

  // The sum of `size_` blocks of n bf16 elements, rounded into `sum`.
  void sum_bf16_blocks(const bf16* blocks, std::int64_t n, std::span<float> sum) {
    auto* const wide = reinterpret_cast<float*>(scratch(wide_, n * size_ * 4));
    const auto count = static_cast<std::size_t>(n * size_);
    widen_from_bf16({blocks, count}, {wide, count});
    reduce_blocks(reinterpret_cast<std::byte*>(wide), size_, n, Dtype::kF32, ReduceOp::kSum,
                  options_.order);
    std::copy_n(wide, n, sum.begin());
  }

  // Every rank's values are rounded before they are added, its own too, so that bits do not depend
  // on who owns which slice.
  void reduce_all_bf16(Tensor& values) {
    for_segments(values.numel(), 2, [&](std::int64_t begin, std::int64_t n) {
      const std::span<float> data = values.span<float>().subspan(static_cast<std::size_t>(begin),
                                                                 static_cast<std::size_t>(n));
      auto* const wire = reinterpret_cast<bf16*>(scratch(wire_, n * 2));
      narrow_to_bf16(data, {wire, data.size()});
      const Range own = slice(n, rank_);
      auto* const blocks = reinterpret_cast<bf16*>(scratch(blocks_, own.count * size_ * 2));
      collect_blocks(reinterpret_cast<std::byte*>(blocks), own.count * 2, [&](int r) {
        const Range range = slice(n, r);
        return std::as_bytes(std::span(wire + range.begin, static_cast<std::size_t>(range.count)));
      });
      const std::span<float> sum =
          data.subspan(static_cast<std::size_t>(own.begin), static_cast<std::size_t>(own.count));
      sum_bf16_blocks(blocks, own.count, sum);
      narrow_to_bf16(sum, {wire + own.begin, sum.size()});
      share_slices(reinterpret_cast<std::byte*>(wire), n, 2);
      widen_from_bf16({wire, data.size()}, data);
    });
  }

  void reduce_part(const Tensor& values, Tensor& mine) {
    const auto element = narrow<std::int64_t>(size_of(values.dtype()));
    for_segments(mine.numel(), element * size_, [&](std::int64_t begin, std::int64_t n) {
      std::byte* const blocks = scratch(blocks_, n * element * size_);
      collect_blocks(blocks, n * element, [&](int r) {
        return OutgoingBytes(values.raw() + (r * mine.numel() + begin) * element,
                             static_cast<std::size_t>(n * element));
      });
      reduce_blocks(blocks, size_, n, values.dtype(), ReduceOp::kSum, options_.order);
      std::memcpy(mine.raw() + begin * element, blocks, static_cast<std::size_t>(n * element));
    });
  }

  void reduce_part_bf16(const Tensor& values, Tensor& mine) {
    for_segments(mine.numel(), std::int64_t{2} * size_, [&](std::int64_t begin, std::int64_t n) {
      const auto count = static_cast<std::size_t>(n);
      auto* const wire = reinterpret_cast<bf16*>(scratch(wire_, n * size_ * 2));
      for (int r = 0; r < size_; ++r) {
        narrow_to_bf16({values.data<float>() + r * mine.numel() + begin, count},
                       {wire + r * n, count});
      }
      auto* const blocks = reinterpret_cast<bf16*>(scratch(blocks_, n * size_ * 2));
      collect_blocks(reinterpret_cast<std::byte*>(blocks), n * 2,
                     [&](int r) { return std::as_bytes(std::span(wire + r * n, count)); });
      sum_bf16_blocks(blocks, n, {mine.data<float>() + begin, count});
    });
  }

  void gather_parts(const Tensor& mine, Tensor& all) {
    std::byte* const own = all.raw() + rank_ * narrow<std::int64_t>(mine.bytes());
    if (own != mine.raw() && mine.bytes() > 0) {
      std::memcpy(own, mine.raw(), mine.bytes());
    }
    std::vector<OutgoingBytes> send(static_cast<std::size_t>(size_),
                                    OutgoingBytes(mine.raw(), mine.bytes()));
    std::vector<IncomingBytes> receive(send.size());
    for (int r = 0; r < size_; ++r) {
      receive[static_cast<std::size_t>(r)] = {all.raw() + r * narrow<std::int64_t>(mine.bytes()),
                                              mine.bytes()};
    }
    transport_->exchange(send, receive);
  }

  CommunicatorOptions options_;
  Watchdog watchdog_;
  std::unique_ptr<Transport> transport_;
  int rank_;
  int size_;
  Tensor blocks_;
  Tensor wire_;
  Tensor wide_;
  std::unique_ptr<WorkQueue> queue_;
};

}  // namespace

std::unique_ptr<Communicator> make_host_communicator(std::unique_ptr<Transport> transport,
                                                     const CommunicatorOptions& options) {
  check_options(options);
  return std::make_unique<HostCommunicator>(std::move(transport), options);
}

}  // namespace clausius::detail
