// SPDX-License-Identifier: Apache-2.0
// What moves bytes between ranks: the part of a communicator that knows MPI, and the hook by which
// an error ends all ranks.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/comm/communicator.h"

namespace clausius::detail {

using OutgoingBytes = std::span<const std::byte>;
using IncomingBytes = std::span<std::byte>;

/// Used by one thread at a time, the same from the first collective on. Every error is a CommError.
class Transport {
 public:
  Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;
  virtual ~Transport() = default;

  [[nodiscard]] virtual int rank() const = 0;
  [[nodiscard]] virtual int size() const = 0;
  [[nodiscard]] virtual int local_rank() const = 0;
  [[nodiscard]] virtual int local_size() const = 0;
  [[nodiscard]] virtual int cores_per_rank() const = 0;
  [[nodiscard]] virtual std::string description() const = 0;
  /// Whether that one thread may be another than the one that made the transport.
  [[nodiscard]] virtual bool allows_thread() const = 0;

  /// Sends `send[r]` to every other rank r and receives `receive[r]` from it; sizes agree between
  /// the two sides. The own entries and empty ones are skipped.
  virtual void exchange(const std::vector<OutgoingBytes>& send,
                        const std::vector<IncomingBytes>& receive) = 0;
  /// Few bytes of every rank on every rank, in rank order. `mine` is not part of `all`.
  virtual void gather(OutgoingBytes mine, IncomingBytes all) = 0;
  virtual void broadcast(IncomingBytes bytes, int root) = 0;
  virtual void barrier() = 0;
};

/// Collectives with the arithmetic of ordered_reduce.h over a transport. Errors: ConfigError for
/// options out of range.
[[nodiscard]] std::unique_ptr<Communicator> make_host_communicator(
    std::unique_ptr<Transport> transport, const CommunicatorOptions& options);
[[nodiscard]] std::unique_ptr<Communicator> make_single_communicator();
/// Only in builds with MPI. Errors: CommError when MPI does not see the ranks that the launcher
/// started.
[[nodiscard]] std::unique_ptr<Communicator> make_mpi_communicator(
    const CommunicatorOptions& options, const Launcher& launcher);

void check_options(const CommunicatorOptions& options);

/// From now on abort_all names this rank and calls `abort`.
void set_abort(int rank, void (*abort)(int exit_code));

/// Argument checks that all implementations share; all tensors of a call are on one device.
void check_device(const Tensor& tensor,
                  Device device,
                  std::string_view collective,
                  std::string_view what);
void check_collective(const Tensor& tensor, std::string_view collective, std::string_view what);
void check_reducible(const Tensor& tensor, std::string_view collective, std::string_view what);
/// `all` holds `size` times what `part` holds.
void check_parts(const Tensor& part,
                 const Tensor& all,
                 int size,
                 std::string_view collective,
                 std::string_view what);

}  // namespace clausius::detail
