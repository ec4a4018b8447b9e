// SPDX-License-Identifier: Apache-2.0
// What all communicators share: the factory, one-value collectives, the desync guard, the end of
// all ranks.
#include "core/comm/communicator.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdio>
#include <iostream>
#include <map>
#include <thread>
#include <unistd.h>
#include <vector>

#include "core/checked.h"
#include "core/comm/transport.h"
#include "core/device_backend.h"

namespace clausius {
namespace {

struct AbortHook {
  std::atomic<int> rank{-1};
  std::atomic<void (*)(int)> abort{nullptr};
};

AbortHook& abort_hook() {
  static AbortHook hook;
  return hook;
}

}  // namespace

double Communicator::all_reduce(double value, ReduceOp op, std::string_view what) {
  Tensor tensor = Tensor::from(std::vector<double>{value}, {1});
  all_reduce(tensor, op, what);
  return tensor.data<double>()[0];
}

std::int64_t Communicator::all_reduce(std::int64_t value, ReduceOp op, std::string_view what) {
  Tensor tensor = Tensor::from(std::vector<std::int64_t>{value}, {1});
  all_reduce(tensor, op, what);
  return tensor.data<std::int64_t>()[0];
}

std::string Communicator::broadcast_text(std::string text, int root, std::string_view what) {
  Tensor length = Tensor::from(std::vector<std::int64_t>{std::ssize(text)}, {1});
  broadcast(length, root, what);
  text.resize(static_cast<std::size_t>(length.data<std::int64_t>()[0]));
  Tensor bytes =
      Tensor::from(std::vector<std::uint8_t>(text.begin(), text.end()), {std::ssize(text)});
  broadcast(bytes, root, what);
  const std::span<const std::uint8_t> received = std::as_const(bytes).span<std::uint8_t>();
  return {received.begin(), received.end()};
}

std::unique_ptr<Communicator> make_communicator(const CommunicatorOptions& options) {
  detail::check_options(options);
  const Launcher launcher = detect_launcher();
  CLS_CHECK(launcher.kind != LauncherKind::kTorchrun, CommError,
            "started by torchrun, whose processes do not know each other here; start with `mpirun "
            "-n N clausius ...`");
  if (launcher.size == 1) {
    return detail::make_single_communicator();
  }
#ifdef CLAUSIUS_HAS_MPI
  return detail::make_mpi_communicator(options, launcher);
#else
  throw CommError(concat(name_of(launcher.kind), " started ", launcher.size,
                         " ranks, but this build has no MPI; configure with -DCLAUSIUS_MPI=ON or "
                         "start a single process"));
#endif
}

std::unique_ptr<Communicator> connect_device(std::unique_ptr<Communicator> host,
                                             Device device,
                                             const CommunicatorOptions& options) {
  if (device.kind == DeviceKind::kCpu) {
    return host;
  }
  DeviceBackend& backend = require_backend(device);
  // One GPU is visible where the launcher gives each rank its own.
  backend.select(host->local_rank() % backend.count());
  return host->size() == 1 ? std::move(host) : backend.connect(std::move(host), options);
}

void abort_all(ExitCode code, std::string_view message) {
  static std::atomic_flag begun;
  if (begun.test_and_set()) {
    while (true) {
      ::pause();  // another thread is ending the process
    }
  }
  const int rank = abort_hook().rank;
  const std::string text =
      rank >= 0 ? concat("rank ", rank, ": ", message, '\n') : concat(message, '\n');
  std::cout.flush();
  std::fflush(nullptr);
  static_cast<void>(!::write(STDERR_FILENO, text.data(), text.size()));
  if (void (*const abort)(int) = abort_hook().abort) {
    // A transport that is stuck, or busy in another thread, must not keep this rank alive: its end
    // ends the others too.
    std::thread([code] {
      std::this_thread::sleep_for(std::chrono::seconds(3));
      ::_exit(static_cast<int>(code));
    }).detach();
    abort(static_cast<int>(code));
  }
  ::_exit(static_cast<int>(code));
}

void check_in_sync(Communicator& communicator, std::uint64_t state_hash, std::string_view what) {
  const auto mine = std::bit_cast<std::int64_t>(state_hash);
  Tensor extremes = Tensor::from(std::vector<std::int64_t>{mine, ~mine}, {2});
  communicator.all_reduce(extremes, ReduceOp::kMax, what);
  const std::int64_t* const found = extremes.data<std::int64_t>();
  if (found[0] == ~found[1]) {  // ~x falls as x rises: the largest ~x is that of the smallest x
    return;
  }
  const Tensor own = Tensor::from(std::vector<std::int64_t>{mine}, {1});
  Tensor all = Tensor::empty({communicator.size()}, Dtype::kI64);
  communicator.all_gather(own, all, what);
  std::map<std::int64_t, std::vector<int>> ranks_of;
  for (int rank = 0; rank < communicator.size(); ++rank) {
    ranks_of[all.data<std::int64_t>()[rank]].push_back(rank);
  }
  // The largest group is taken for the healthy one; among equals, that of the lowest rank.
  const auto healthy =
      std::max_element(ranks_of.begin(), ranks_of.end(), [](const auto& a, const auto& b) {
        return std::pair(a.second.size(), -a.second.front()) <
               std::pair(b.second.size(), -b.second.front());
      });
  std::string odd;
  for (int rank = 0; rank < communicator.size(); ++rank) {
    if (all.data<std::int64_t>()[rank] != healthy->first) {
      odd += concat(odd.empty() ? "" : ", ", rank);
    }
  }
  throw CommError(concat("ranks have diverged (", what, "): rank ", odd, " of ",
                         communicator.size(), " differs from rank ", healthy->second.front(),
                         " in step, parameters or data position"));
}

namespace detail {

void set_abort(int rank, void (*abort)(int)) {
  abort_hook().rank = rank;
  abort_hook().abort = abort;
}

void check_options(const CommunicatorOptions& options) {
  CLS_CHECK(options.timeout_s >= 1, ConfigError, "parallel.timeout_s: ", options.timeout_s,
            "; expected at least 1");
  CLS_CHECK(options.reduce_dtype == Dtype::kF32 || options.reduce_dtype == Dtype::kBf16,
            ConfigError, "parallel.reduce_dtype: ", options.reduce_dtype, "; expected f32 or bf16");
  CLS_CHECK(options.segment_bytes >= 64, ConfigError, "segments of ", options.segment_bytes,
            " bytes; expected at least 64");
}

void check_collective(const Tensor& tensor, std::string_view collective, std::string_view what) {
  CLS_CHECK(tensor.defined() && tensor.is_contiguous(), ShapeError, collective, " '", what,
            "': expected a contiguous tensor, found shape ", tensor.shape(), " with strides ",
            tensor.strides());
}

void check_device(const Tensor& tensor,
                  Device device,
                  std::string_view collective,
                  std::string_view what) {
  CLS_CHECK(tensor.device() == device, ShapeError, collective, " '", what,
            "': this communicator takes tensors on ", device, ", found one on ", tensor.device());
}

void check_reducible(const Tensor& tensor, std::string_view collective, std::string_view what) {
  check_collective(tensor, collective, what);
  CLS_CHECK(tensor.dtype() != Dtype::kBf16 && tensor.dtype() != Dtype::kU8, DtypeError, collective,
            " '", what, "': cannot reduce ", tensor.dtype(), "; expected f32, f64, i32 or i64");
}

void check_parts(const Tensor& part,
                 const Tensor& all,
                 int size,
                 std::string_view collective,
                 std::string_view what) {
  check_collective(part, collective, what);
  check_collective(all, collective, what);
  check_device(part, all.device(), collective, what);
  CLS_CHECK(all.numel() == part.numel() * size, ShapeError, collective, " '", what, "': parts of ",
            part.numel(), " elements on ", size, " ranks make ", part.numel() * size,
            ", but the whole has ", all.numel());
  CLS_CHECK(all.dtype() == part.dtype(), DtypeError, collective, " '", what, "': the part is ",
            part.dtype(), ", the whole is ", all.dtype());
}

}  // namespace detail
}  // namespace clausius
