// SPDX-License-Identifier: Apache-2.0
// Collectives between the ranks of a run. One rank without a launcher needs no MPI.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/comm/launcher.h"
#include "core/comm/work.h"
#include "core/dtype.h"
#include "core/error.h"
#include "core/tensor.h"

namespace clausius {

enum class ReduceOp : std::uint8_t { kSum, kMax, kMin };

/// In which order the ranks' values of an element are added: ((r0 + r1) + r2) + r3, or (r0 + r1) +
/// (r2 + r3).
/// kAny, on GPUs: the order NCCL finds fastest, the same in every run of one layout; on the host that of kRank.
enum class ReductionOrder : std::uint8_t { kRank, kTree, kAny };

/// Who runs asynchronous collectives: the caller at once, or a communication thread beside it.
/// kAuto: a thread where a rank has more than one core (with one core a thread only adds switches).
enum class Overlap : std::uint8_t { kAuto, kInline, kThread };

struct CommunicatorOptions {
  ReductionOrder order = ReductionOrder::kRank;
  /// What asynchronous f32 sums (gradient buckets) travel as: kF32 or kBf16. Sums are f32 either
  /// way.
  Dtype reduce_dtype = Dtype::kF32;
  Overlap overlap = Overlap::kAuto;
  /// A collective unfinished for this long ends the process with exit code 5.
  std::int64_t timeout_s = 600;
  /// Large messages are cut into pieces of this size.
  std::int64_t segment_bytes = std::int64_t{16} << 20;
};

/// The ranks of a run. Every rank calls the same collectives in the same order, with equal sizes;
/// tensors are contiguous, on the CPU or, after connect_device(), on this rank's GPU, whose work is then ordered with them while
/// the host goes on. `what` names a call in error messages and to the watchdog.
/// Value:   sums are taken element by element in the order that the options say, in the tensor's
/// own type: the same bits on every
///          rank, whatever the transport, the segments and the number of elements. NaN wins kMax
///          and kMin.
/// Errors:  CommError naming collective and `what` (abort_all adds the rank); the communicator cannot be used after it.
/// ShapeError and DtypeError for
///          tensors that do not fit.
class Communicator {
 public:
  Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;
  virtual ~Communicator() = default;

  [[nodiscard]] virtual int rank() const = 0;
  [[nodiscard]] virtual int size() const = 0;
  /// Among the ranks of this host.
  [[nodiscard]] virtual int local_rank() const = 0;
  [[nodiscard]] virtual int local_size() const = 0;
  /// Cores this rank may keep busy: those of its affinity mask, shared with the local ranks that
  /// have them too; at least 1.
  [[nodiscard]] virtual int cores_per_rank() const = 0;
  /// What Overlap::kAuto became.
  [[nodiscard]] virtual Overlap overlap() const = 0;
  /// What carries the messages, for `doctor`.
  [[nodiscard]] virtual std::string description() const = 0;

  /// In place; f32, f64, i32 or i64.
  virtual void all_reduce(Tensor& values,
                          ReduceOp op = ReduceOp::kSum,
                          std::string_view what = {}) = 0;
  /// values (size() * n) -> mine (n): the sum of every rank's part number rank(). `mine` may be
  /// that part of `values`, whose other parts keep what they held.
  virtual void reduce_scatter(const Tensor& values, Tensor& mine, std::string_view what = {}) = 0;
  /// mine (n) -> all (size() * n), any type. `mine` may be this rank's part of `all`.
  virtual void all_gather(const Tensor& mine, Tensor& all, std::string_view what = {}) = 0;
  /// Any type.
  virtual void broadcast(Tensor& values, int root = 0, std::string_view what = {}) = 0;
  virtual void barrier(std::string_view what = {}) = 0;

  // Asynchronous forms, for gradient buckets and parameter shards: carried out in the order of the
  // calls, each after the one before. The tensors must not be touched until wait() returns. f32
  // sums travel as options.reduce_dtype.
  [[nodiscard]] virtual Work all_reduce_async(Tensor values, std::string_view what) = 0;
  [[nodiscard]] virtual Work reduce_scatter_async(Tensor values,
                                                  Tensor mine,
                                                  std::string_view what) = 0;
  [[nodiscard]] virtual Work all_gather_async(Tensor mine, Tensor all, std::string_view what) = 0;

  // One value.
  [[nodiscard]] double all_reduce(double value, ReduceOp op, std::string_view what = {});
  [[nodiscard]] std::int64_t all_reduce(std::int64_t value,
                                        ReduceOp op,
                                        std::string_view what = {});
  /// The root's text on every rank.
  [[nodiscard]] std::string broadcast_text(std::string text,
                                           int root = 0,
                                           std::string_view what = {});
};

/// The communicator for how this process was started: MPI's under a launcher of more than one rank,
/// else that of a single process, which never touches MPI. Errors:  CommError when the launcher
/// started ranks that do not see each other, or this build has no MPI; ConfigError for
///          options out of range.
[[nodiscard]] std::unique_ptr<Communicator> make_communicator(
    const CommunicatorOptions& options = {});

/// The communicator with collectives on `device` too: each rank of a host takes a GPU of its own. The CPU: as it was. Before anything
/// is asked of the device. Collective.
/// Errors:  CommError when ranks share a GPU, or NCCL fails; DeviceError without device or NCCL.
[[nodiscard]] std::unique_ptr<Communicator> connect_device(std::unique_ptr<Communicator> host,
                                                           Device device,
                                                           const CommunicatorOptions& options);

/// Ends the run after an error on this rank: prints `rank R: message` (`message` alone in a single
/// process) once and stops all ranks within seconds, with this exit code. Works from any thread,
/// and after the communicator is gone.
[[noreturn]] void abort_all(ExitCode code, std::string_view message);

/// Compares a hash of what all ranks must have in common (step, parameters, data position).
/// Errors: CommError naming the ranks that differ from the others.
void check_in_sync(Communicator& communicator, std::uint64_t state_hash, std::string_view what);

}  // namespace clausius
