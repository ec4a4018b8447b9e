// SPDX-License-Identifier: Apache-2.0
// The MPI transport: the only source that knows MPI.
#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <sched.h>
#include <thread>

#include <mpi.h>

#include "core/checked.h"
#include "core/comm/transport.h"
#include "core/libraries.h"

namespace clausius::detail {
namespace {

std::string text_of(int error) {
  std::array<char, MPI_MAX_ERROR_STRING + 1> text{};
  int length = 0;
  return MPI_Error_string(error, text.data(), &length) == MPI_SUCCESS ? std::string(text.data())
                                                                      : concat("error ", error);
}

void check_mpi(int status, const char* call) {
  CLS_CHECK(status == MPI_SUCCESS, CommError, call, " failed: ", text_of(status));
}

#define CLS_MPI_CHECK(call) check_mpi(call, #call)

void abort_mpi(int exit_code) {
  MPI_Abort(MPI_COMM_WORLD, exit_code);
}

// Cores of this rank's mask, each divided by the local ranks that may run on it.
int shared_cores(MPI_Comm local, int local_size) {
  cpu_set_t mine;
  CPU_ZERO(&mine);
  if (::sched_getaffinity(0, sizeof(mine), &mine) != 0) {
    return 1;
  }
  std::vector<cpu_set_t> masks(static_cast<std::size_t>(local_size));
  CLS_MPI_CHECK(
      MPI_Allgather(&mine, sizeof(mine), MPI_BYTE, masks.data(), sizeof(mine), MPI_BYTE, local));
  double cores = 0;
  for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &mine)) {
      const auto sharing = std::count_if(masks.begin(), masks.end(), [cpu](const cpu_set_t& mask) {
        return CPU_ISSET(cpu, &mask);
      });
      cores += 1.0 / static_cast<double>(sharing);
    }
  }
  return std::max(1, static_cast<int>(cores + 1e-6));
}

// MPI for the life of the process; an embedding program that initialised it keeps it.
class MpiSession {
 public:
  MpiSession() {
    int initialized = 0;
    CLS_MPI_CHECK(MPI_Initialized(&initialized));
    owns_ = initialized == 0;
    if (owns_) {
      CLS_MPI_CHECK(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &thread_level_));
    } else {
      CLS_MPI_CHECK(MPI_Query_thread(&thread_level_));
    }
    exceptions_ = std::uncaught_exceptions();
  }
  ~MpiSession() {
    // After an error the other ranks may be anywhere: only abort_all ends them, MPI_Finalize would
    // wait.
    if (owns_ && std::uncaught_exceptions() == exceptions_) {
      set_abort(-1, nullptr);
      MPI_Finalize();
    }
  }
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  [[nodiscard]] int thread_level() const { return thread_level_; }

 private:
  bool owns_ = false;
  int thread_level_ = MPI_THREAD_SINGLE;
  int exceptions_ = 0;
};

class MpiTransport final : public Transport {
 public:
  explicit MpiTransport(const Launcher& launcher) {
    int world_size = 0;
    CLS_MPI_CHECK(MPI_Comm_size(MPI_COMM_WORLD, &world_size));
    check_launcher(launcher, world_size);
    CLS_MPI_CHECK(MPI_Comm_dup(MPI_COMM_WORLD, &world_));
    CLS_MPI_CHECK(MPI_Comm_set_errhandler(world_, MPI_ERRORS_RETURN));
    CLS_MPI_CHECK(MPI_Comm_rank(world_, &rank_));
    CLS_MPI_CHECK(MPI_Comm_size(world_, &size_));
    set_abort(rank_, abort_mpi);
    MPI_Comm local = MPI_COMM_NULL;
    CLS_MPI_CHECK(MPI_Comm_split_type(world_, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &local));
    CLS_MPI_CHECK(MPI_Comm_rank(local, &local_rank_));
    CLS_MPI_CHECK(MPI_Comm_size(local, &local_size_));
    cores_ = shared_cores(local, local_size_);
    CLS_MPI_CHECK(MPI_Comm_free(&local));
  }

  ~MpiTransport() override {
    if (std::uncaught_exceptions() == 0) {
      MPI_Comm_free(&world_);
    }
  }

  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int size() const override { return size_; }
  [[nodiscard]] int local_rank() const override { return local_rank_; }
  [[nodiscard]] int local_size() const override { return local_size_; }
  [[nodiscard]] int cores_per_rank() const override { return cores_; }
  [[nodiscard]] bool allows_thread() const override {
    return session_.thread_level() >= MPI_THREAD_SERIALIZED;
  }
  [[nodiscard]] std::string description() const override {
    std::array<char, MPI_MAX_LIBRARY_VERSION_STRING + 1> text{};
    int length = 0;
    CLS_MPI_CHECK(MPI_Get_library_version(text.data(), &length));
    const std::string version(text.data());
    return concat("MPI, ", version.substr(0, version.find(',')));
  }

  void exchange(const std::vector<OutgoingBytes>& send,
                const std::vector<IncomingBytes>& receive) override {
    std::vector<MPI_Request> requests;
    // Rank r starts with its right neighbour, so that not all send to the same one first.
    for (int distance = 1; distance < size_; ++distance) {
      const int source = (rank_ + size_ - distance) % size_;
      post(receive[static_cast<std::size_t>(source)], requests,
           [&](std::byte* data, int count, MPI_Request* request) {
             CLS_MPI_CHECK(MPI_Irecv(data, count, MPI_BYTE, source, kTag, world_, request));
           });
    }
    for (int distance = 1; distance < size_; ++distance) {
      const int target = (rank_ + distance) % size_;
      post(send[static_cast<std::size_t>(target)], requests,
           [&](const std::byte* data, int count, MPI_Request* request) {
             CLS_MPI_CHECK(MPI_Isend(data, count, MPI_BYTE, target, kTag, world_, request));
           });
    }
    wait_for(requests);
  }

  void gather(OutgoingBytes mine, IncomingBytes all) override {
    const int count = narrow<int>(mine.size());
    CLS_MPI_CHECK(MPI_Allgather(mine.data(), count, MPI_BYTE, all.data(), count, MPI_BYTE, world_));
  }

  void broadcast(IncomingBytes bytes, int root) override {
    while (!bytes.empty()) {
      const std::size_t count = std::min(bytes.size(), kMaxMessage);
      CLS_MPI_CHECK(MPI_Bcast(bytes.data(), narrow<int>(count), MPI_BYTE, root, world_));
      bytes = bytes.subspan(count);
    }
  }

  void barrier() override { CLS_MPI_CHECK(MPI_Barrier(world_)); }

 private:
  static constexpr int kTag = 0;
  static constexpr std::size_t kMaxMessage = std::size_t{1} << 30;  // counts are ints

  static void check_launcher(const Launcher& launcher, int world_size) {
    CLS_CHECK(launcher.size == 0 || launcher.size == world_size, CommError, name_of(launcher.kind),
              " started ", launcher.size, " ranks, but MPI sees ", world_size,
              world_size == 1 ? ": each would train alone. The launcher does not belong to this "
                                "build's MPI, or lacks PMIx "
                                "(with Slurm: srun --mpi=pmix)"
                              : "");
  }

  // In pieces that MPI can count; empty messages are not sent.
  template <class Bytes, class Start>
  static void post(Bytes bytes, std::vector<MPI_Request>& requests, const Start& start) {
    while (!bytes.empty()) {
      const std::size_t count = std::min(bytes.size(), kMaxMessage);
      requests.push_back(MPI_REQUEST_NULL);
      start(bytes.data(), narrow<int>(count), &requests.back());
      bytes = bytes.subspan(count);
    }
  }

  static void wait_for(std::vector<MPI_Request>& requests) {
    std::vector<MPI_Status> statuses(requests.size());
    const int status = MPI_Waitall(narrow<int>(requests.size()), requests.data(), statuses.data());
    if (status == MPI_ERR_IN_STATUS) {
      for (const MPI_Status& one : statuses) {
        if (one.MPI_ERROR != MPI_SUCCESS && one.MPI_ERROR != MPI_ERR_PENDING) {
          check_mpi(one.MPI_ERROR, "MPI_Waitall");
        }
      }
    }
    check_mpi(status, "MPI_Waitall");
  }

  MpiSession session_;
  MPI_Comm world_ = MPI_COMM_NULL;
  int rank_ = 0;
  int size_ = 1;
  int local_rank_ = 0;
  int local_size_ = 1;
  int cores_ = 1;
};

// May be asked for before MPI starts; the rest of the text is about who packaged it.
std::string mpi_version() {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
  int length = 0;
  MPI_Get_library_version(text.data(), &length);
  const std::string whole(text.data(), static_cast<std::size_t>(length));
  return whole.substr(0, whole.find_first_of(",\n"));
}
CLS_LIBRARY("MPI", mpi_version);

}  // namespace

std::unique_ptr<Communicator> make_mpi_communicator(const CommunicatorOptions& options,
                                                    const Launcher& launcher) {
  return make_host_communicator(std::make_unique<MpiTransport>(launcher), options);
}

}  // namespace clausius::detail
