// SPDX-License-Identifier: Apache-2.0
// The communicator of ranks with a GPU each.
#include "core/comm/nccl.h"

#if __has_include(<nccl.h>)
#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <unistd.h>
#include <utility>
#include <vector>

#include "core/checked.h"
#include "core/comm/nccl_api.h"
#include "core/comm/nccl_watch.h"
#include "core/comm/ordered_reduce_device.h"
#include "core/comm/transport.h"
#include "core/comm/watchdog.h"
#include "core/cuda/context.h"

namespace clausius::detail {
namespace {

// Up to this many bytes on all ranks together, everybody gets everything in one step and adds it up alone.
constexpr std::int64_t kSmallBytes = 256 << 10;
// Slices begin at multiples of this many elements: whole vectors of every type.
constexpr std::int64_t kSliceElements = 32;

ncclDataType_t type_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF64:
      return ncclFloat64;
    case Dtype::kBf16:
      return ncclBfloat16;
    case Dtype::kI32:
      return ncclInt32;
    case Dtype::kI64:
      return ncclInt64;
    case Dtype::kU8:
      return ncclUint8;
    default:
      return ncclFloat32;
  }
}

// A collective in its stream.
class GpuWork final : public Work::State {
 public:
  GpuWork() {
    // It begins when what was asked of the device before is done.
    begin_.record(cuda::compute_stream());
    begin_.hold_back(cuda::communication_stream());
    begin_.record(cuda::communication_stream());
  }
  // Memory that it uses must not be handed out before it ends.
  ~GpuWork() override {
    if (!waited_) {
      end_->hold_back_unchecked(cuda::compute_stream());
    }
  }

  /// Memory that lives as long as the collective.
  Tensor hold(const Tensor& tensor) { return held_.emplace_back(tensor); }
  void finish() { end_->record(cuda::communication_stream()); }
  [[nodiscard]] std::shared_ptr<const cuda::Event> end() const { return end_; }

  void wait() override {
    if (!waited_) {
      waited_ = true;
      end_->hold_back(cuda::compute_stream());
      held_.clear();
    }
  }
  bool done() override { return end_->done(); }
  Work::Times times() override {
    return {.begin = begin_.time(cuda::communication_stream()),
            .end = end_->time(cuda::communication_stream())};
  }

 private:
  cuda::Event begin_;
  std::shared_ptr<cuda::Event> end_ = std::make_shared<cuda::Event>();  // the watch has it too
  std::vector<Tensor> held_;
  bool waited_ = false;
};

// Ranks that see the same GPU would wait for each other for ever.
void check_own_gpus(Communicator& host) {
  constexpr std::int64_t kText = 160;
  std::array<char, 64> bus{};
  CLS_CUDA_CHECK(
      cudaDeviceGetPCIBusId(bus.data(), static_cast<int>(bus.size()), cuda::selected_device()));
  std::array<char, 64> name{};
  ::gethostname(name.data(), name.size() - 1);
  std::string mine = concat(bus.data(), " of host ", name.data());
  mine.resize(kText, '\0');
  Tensor own = Tensor::from(std::vector<std::uint8_t>(mine.begin(), mine.end()), {kText});
  Tensor all = Tensor::empty({host.size() * kText}, Dtype::kU8);
  host.all_gather(own, all, "GPUs of the ranks");
  std::map<std::string, int> rank_of;
  for (int rank = 0; rank < host.size(); ++rank) {
    const auto* text = reinterpret_cast<const char*>(all.data<std::uint8_t>() + rank * kText);
    const auto [first, fresh] = rank_of.emplace(text, rank);
    CLS_CHECK(fresh, CommError, "ranks ", first->second, " and ", rank, " share the GPU ", text,
              "; start at most as many ranks on a host as it has GPUs");
  }
}

class NcclCommunicator final : public Communicator {
 public:
  NcclCommunicator(std::unique_ptr<Communicator> host, const CommunicatorOptions& options)
      : options_(options),
        host_(std::move(host)),
        rank_(host_->rank()),
        size_(host_->size()),
        communicator_(join(*host_, options)),
        watch_(std::make_unique<NcclWatch>(
            rank_, communicator_, std::chrono::seconds(options.timeout_s))) {}

  ~NcclCommunicator() override {
    watch_.reset();
    // After an error other ranks may be anywhere, and destroying waits for them.
    (void)(std::uncaught_exceptions() == 0 ? nccl_api().comm_destroy(communicator_)
                                           : nccl_api().comm_abort(communicator_));
  }

  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int size() const override { return size_; }
  [[nodiscard]] int local_rank() const override { return host_->local_rank(); }
  [[nodiscard]] int local_size() const override { return host_->local_size(); }
  [[nodiscard]] int cores_per_rank() const override { return host_->cores_per_rank(); }
  [[nodiscard]] Overlap overlap() const override { return host_->overlap(); }
  [[nodiscard]] std::string description() const override {
    int version = 0;
    CLS_NCCL_CHECK(get_version, (&version));
    return concat("NCCL ", version / 10000, '.', version / 100 % 100, '.', version % 100, " and ",
                  host_->description());
  }

  using Communicator::all_reduce;
  void all_reduce(Tensor& values, ReduceOp op, std::string_view what) override {
    if (on_host(values)) {
      return host_->all_reduce(values, op, what);
    }
    run("all_reduce", what, {values}, [&](GpuWork& work) {
      reduce_all(work, values, values.dtype(), op);
    }).wait();
  }
  void reduce_scatter(const Tensor& values, Tensor& mine, std::string_view what) override {
    if (on_host(values)) {
      return host_->reduce_scatter(values, mine, what);
    }
    check_parts(mine, values, size_, "reduce_scatter", what);
    run("reduce_scatter", what, {values, mine}, [&](GpuWork& work) {
      reduce_part(work, values, mine, values.dtype());
    }).wait();
  }
  void all_gather(const Tensor& mine, Tensor& all, std::string_view what) override {
    if (on_host(all)) {
      return host_->all_gather(mine, all, what);
    }
    all_gather_async(mine, all, what).wait();
  }
  void broadcast(Tensor& values, int root, std::string_view what) override {
    if (on_host(values)) {
      return host_->broadcast(values, root, what);
    }
    CLS_CHECK(root >= 0 && root < size_, ShapeError, "broadcast '", what, "': there is no rank ",
              root, " among ", size_);
    check_collective(values, "broadcast", what);
    run("broadcast", what, {}, [&](GpuWork&) {
      CLS_NCCL_CHECK(broadcast, (values.raw(), values.raw(), values.bytes(), ncclUint8, root,
                                 communicator_, cuda::communication_stream()));
    }).wait();
  }
  void barrier(std::string_view what) override { host_->barrier(what); }

  [[nodiscard]] Work all_reduce_async(Tensor values, std::string_view what) override {
    if (on_host(values)) {
      return host_->all_reduce_async(values, what);
    }
    return run("all_reduce", what, {values},
               [&](GpuWork& work) { reduce_all(work, values, wire_type(values), ReduceOp::kSum); });
  }
  [[nodiscard]] Work reduce_scatter_async(Tensor values,
                                          Tensor mine,
                                          std::string_view what) override {
    if (on_host(values)) {
      return host_->reduce_scatter_async(values, mine, what);
    }
    check_parts(mine, values, size_, "reduce_scatter", what);
    return run("reduce_scatter", what, {values, mine},
               [&](GpuWork& work) { reduce_part(work, values, mine, wire_type(values)); });
  }
  [[nodiscard]] Work all_gather_async(Tensor mine, Tensor all, std::string_view what) override {
    if (on_host(all)) {
      return host_->all_gather_async(mine, all, what);
    }
    check_parts(mine, all, size_, "all_gather", what);
    return run("all_gather", what, {}, [&](GpuWork& work) {
      work.hold(mine);
      work.hold(all);
      gather_parts(mine.raw(), all.raw(), mine.bytes());
    });
  }

 private:
  static bool on_host(const Tensor& tensor) { return tensor.device() == kCpu; }

  static ncclComm_t join(Communicator& host, const CommunicatorOptions& options) {
    cuda::bind_thread();
    check_own_gpus(host);
    ncclUniqueId unique{};
    if (host.rank() == 0) {
      CLS_NCCL_CHECK(get_unique_id, (&unique));
    }
    Tensor id = Tensor::empty({std::int64_t{sizeof(unique)}}, Dtype::kU8);
    std::memcpy(id.raw(), &unique, sizeof(unique));
    host.broadcast(id, 0, "NCCL id");
    std::memcpy(&unique, id.raw(), sizeof(unique));
    Watchdog watchdog(host.rank(), std::chrono::seconds(options.timeout_s));
    const Watchdog::Scope scope(watchdog, "joining the NCCL communicator");
    ncclComm_t communicator = nullptr;
    CLS_NCCL_CHECK(comm_init_rank, (&communicator, host.size(), unique, host.rank()));
    return communicator;
  }

  // What f32 sums travel as.
  [[nodiscard]] Dtype wire_type(const Tensor& values) const {
    return values.dtype() == Dtype::kF32 ? options_.reduce_dtype : values.dtype();
  }

  template <class Call>
  Work run(std::string_view collective,
           std::string_view what,
           const std::vector<Tensor>& reduced,
           const Call& call) {
    const std::string name =
        what.empty() ? std::string(collective) : concat(collective, " '", what, "'");
    const ErrorFrame frame(name);
    for (const Tensor& tensor : reduced) {
      check_device(tensor, kCuda, collective, what);
      check_reducible(tensor, collective, what);
    }
    auto work = std::make_shared<GpuWork>();
    for (const Tensor& tensor : reduced) {
      work->hold(tensor);
    }
    call(*work);
    work->finish();
    watch_->add(name, work->end());
    return Work(work);
  }

  struct Slice {
    std::int64_t begin = 0;
    std::int64_t count = 0;
  };
  // What rank r owns of n elements: all slices but the last are equal.
  [[nodiscard]] Slice slice(std::int64_t n, int r) const {
    const std::int64_t length = round_up(div_ceil<std::int64_t>(n, size_), kSliceElements);
    const std::int64_t begin = std::min(n, r * length);
    return {.begin = begin, .count = std::min(length, n - begin)};
  }

  // Part r of `parts` goes to rank r; blocks[r], `step` elements apart, comes from it.
  template <class PartOf>
  void exchange(const PartOf& part_of,
                std::int64_t count,
                std::byte* blocks,
                std::int64_t block_bytes,
                std::int64_t element) {
    CLS_NCCL_CHECK(group_start, ());
    for (int r = 0; r < size_; ++r) {
      const auto [data, elements] = part_of(r);
      if (r == rank_) {
        continue;
      }
      if (elements > 0) {
        CLS_NCCL_CHECK(send, (data, static_cast<std::size_t>(elements * element), ncclUint8, r,
                              communicator_, cuda::communication_stream()));
      }
      if (count > 0) {
        CLS_NCCL_CHECK(recv, (blocks + r * block_bytes, static_cast<std::size_t>(count * element),
                              ncclUint8, r, communicator_, cuda::communication_stream()));
      }
    }
    CLS_NCCL_CHECK(group_end, ());
    if (count > 0) {
      const auto [own, elements] = part_of(rank_);
      CLS_CUDA_CHECK(cudaMemcpyAsync(blocks + rank_ * block_bytes, own,
                                     static_cast<std::size_t>(count * element),
                                     cudaMemcpyDeviceToDevice, cuda::communication_stream()));
    }
  }

  // Rounded to the wire's type, where that is another one.
  std::byte* on_wire(GpuWork& work, const Tensor& values, Dtype wire) {
    if (wire == values.dtype()) {
      return const_cast<std::byte*>(values.raw());
    }
    Tensor narrow = work.hold(Tensor::empty({values.numel()}, wire, values.device()));
    narrow_to_bf16(values.data<float>(), narrow.data<bf16>(), values.numel(),
                   cuda::communication_stream());
    return narrow.raw();
  }

  void reduce_all(GpuWork& work, const Tensor& values, Dtype wire, ReduceOp op) {
    const std::int64_t n = values.numel();
    if (n == 0) {
      return;
    }
    const cudaStream_t stream = cuda::communication_stream();
    auto* const out = const_cast<std::byte*>(values.raw());
    if (options_.order == ReductionOrder::kAny && wire == values.dtype() && op == ReduceOp::kSum) {
      CLS_NCCL_CHECK(all_reduce, (out, out, static_cast<std::size_t>(n), type_of(wire), ncclSum,
                                  communicator_, stream));
      return;
    }
    const auto element = narrow<std::int64_t>(size_of(wire));
    std::byte* const sent = on_wire(work, values, wire);
    if (n * element * size_ <= kSmallBytes) {
      Tensor blocks = work.hold(Tensor::empty({n * size_}, wire, values.device()));
      gather_parts(sent, blocks.raw(), static_cast<std::size_t>(n * element));
      reduce_blocks({.data = blocks.raw(), .dtype = wire, .ranks = size_, .step = n}, n, op,
                    options_.order, out, stream);
      if (wire != values.dtype()) {
        round_to_wire(work, values, wire);
      }
      return;
    }
    const Slice own = slice(n, rank_);
    const std::int64_t step = slice(n, 0).count;
    Tensor blocks = work.hold(Tensor::empty({step * size_}, wire, values.device()));
    exchange(
        [&](int r) {
          const Slice part = slice(n, r);
          return std::pair(sent + part.begin * element, part.count);
        },
        own.count, blocks.raw(), step * element, element);
    const auto wide = narrow<std::int64_t>(size_of(values.dtype()));
    if (own.count > 0) {
      reduce_blocks({.data = blocks.raw(), .dtype = wire, .ranks = size_, .step = step}, own.count,
                    op, options_.order, out + own.begin * wide, stream);
    }
    if (wire == values.dtype()) {
      return share_slices(out, n, element);
    }
    if (own.count > 0) {
      narrow_to_bf16(reinterpret_cast<const float*>(out) + own.begin,
                     reinterpret_cast<bf16*>(sent) + own.begin, own.count, stream);
    }
    share_slices(sent, n, element);
    widen_from_bf16(reinterpret_cast<const bf16*>(sent), reinterpret_cast<float*>(out), n, stream);
  }

  // What the others would get: sums travel in the wire's type too.
  void round_to_wire(GpuWork& work, const Tensor& values, Dtype wire) {
    std::byte* const rounded = on_wire(work, values, wire);
    widen_from_bf16(reinterpret_cast<const bf16*>(rounded),
                    reinterpret_cast<float*>(const_cast<std::byte*>(values.raw())), values.numel(),
                    cuda::communication_stream());
  }

  // Each rank's own slice of data[0 .. n) to all.
  void share_slices(std::byte* data, std::int64_t n, std::int64_t element) {
    const Slice own = slice(n, rank_);
    CLS_NCCL_CHECK(group_start, ());
    for (int r = 0; r < size_; ++r) {
      const Slice part = slice(n, r);
      if (r != rank_ && own.count > 0) {
        CLS_NCCL_CHECK(send,
                       (data + own.begin * element, static_cast<std::size_t>(own.count * element),
                        ncclUint8, r, communicator_, cuda::communication_stream()));
      }
      if (r != rank_ && part.count > 0) {
        CLS_NCCL_CHECK(recv,
                       (data + part.begin * element, static_cast<std::size_t>(part.count * element),
                        ncclUint8, r, communicator_, cuda::communication_stream()));
      }
    }
    CLS_NCCL_CHECK(group_end, ());
  }

  void reduce_part(GpuWork& work, const Tensor& values, Tensor& mine, Dtype wire) {
    const std::int64_t n = mine.numel();
    if (n == 0) {
      return;
    }
    const cudaStream_t stream = cuda::communication_stream();
    if (options_.order == ReductionOrder::kAny && wire == values.dtype()) {
      CLS_NCCL_CHECK(reduce_scatter, (values.raw(), mine.raw(), static_cast<std::size_t>(n),
                                      type_of(wire), ncclSum, communicator_, stream));
      return;
    }
    const auto element = narrow<std::int64_t>(size_of(wire));
    std::byte* const sent = on_wire(work, values, wire);
    Tensor blocks = work.hold(Tensor::empty({n * size_}, wire, values.device()));
    exchange([&](int r) { return std::pair(sent + r * n * element, n); }, n, blocks.raw(),
             n * element, element);
    reduce_blocks({.data = blocks.raw(), .dtype = wire, .ranks = size_, .step = n}, n,
                  ReduceOp::kSum, options_.order, mine.raw(), stream);
  }

  void gather_parts(const std::byte* mine, std::byte* all, std::size_t bytes) {
    if (bytes > 0) {
      CLS_NCCL_CHECK(all_gather,
                     (mine, all, bytes, ncclUint8, communicator_, cuda::communication_stream()));
    }
  }

  CommunicatorOptions options_;
  std::unique_ptr<Communicator> host_;
  int rank_;
  int size_;
  ncclComm_t communicator_;
  std::unique_ptr<NcclWatch> watch_;
};

}  // namespace

void check_nccl(ncclResult_t result, const char* call) {
  if (result == ncclSuccess || result == ncclInProgress) {
    return;
  }
  const char* const details = nccl_api().get_last_error(nullptr);
  throw CommError(concat(call, ": ", nccl_api().get_error_string(result),
                         details != nullptr && *details != '\0' ? concat(" (", details, ")") : ""));
}

std::unique_ptr<Communicator> make_nccl_communicator(std::unique_ptr<Communicator> host,
                                                     const CommunicatorOptions& options) {
  return std::make_unique<NcclCommunicator>(std::move(host), options);
}

}  // namespace clausius::detail
#else
namespace clausius::detail {

std::unique_ptr<Communicator> make_nccl_communicator(std::unique_ptr<Communicator> /*host*/,
                                                     const CommunicatorOptions& /*options*/) {
  throw DeviceError(
      "ranks with a GPU each need NCCL, whose header was not there when this program was built");
}

}  // namespace clausius::detail
#endif
