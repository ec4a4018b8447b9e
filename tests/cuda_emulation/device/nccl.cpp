// SPDX-License-Identifier: Apache-2.0
// NCCL for emulated GPUs: device memory is the host's, so MPI carries it; streams are done at once.
#include <cstdlib>
#include <nccl.h>
#include <string_view>
#include <vector>

#include <mpi.h>

#include "core/comm/nccl_api.h"

struct ncclComm {
  MPI_Comm ranks = MPI_COMM_NULL;
  int rank = 0;
};

namespace {

// Between a group's start and end calls are collected: only together they cannot wait for each other.
struct Group {
  std::vector<MPI_Request> requests;
};
Group& group() {
  static Group open_group;
  return open_group;
}

MPI_Datatype type_of(ncclDataType_t type) {
  return type == ncclFloat32   ? MPI_FLOAT
         : type == ncclFloat64 ? MPI_DOUBLE
         : type == ncclInt32   ? MPI_INT32_T
         : type == ncclInt64   ? MPI_INT64_T
                               : MPI_BYTE;
}

// Where NCCL takes a buffer for both, MPI wants to be told.
const void* or_in_place(const void* send, const void* receive) {
  return send == receive ? MPI_IN_PLACE : send;
}

}  // namespace

ncclResult_t ncclGetVersion(int* version) {
  *version = 22809;
  return ncclSuccess;
}
ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  *id = {};
  return ncclSuccess;
}
ncclResult_t ncclCommInitRank(ncclComm_t* communicator,
                              int /*ranks*/,
                              ncclUniqueId /*id*/,
                              int rank) {
  *communicator = new ncclComm{.rank = rank};
  MPI_Comm_dup(MPI_COMM_WORLD, &(*communicator)->ranks);
  return ncclSuccess;
}
ncclResult_t ncclCommDestroy(ncclComm_t communicator) {
  MPI_Comm_free(&communicator->ranks);
  delete communicator;
  return ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t /*communicator*/) {
  return ncclSuccess;
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t /*communicator*/, ncclResult_t* state) {
  const char* const wanted = std::getenv("EMULATED_NCCL");  // what a test says
  *state = wanted != nullptr && std::string_view(wanted) == "remote_error" ? ncclRemoteError
                                                                           : ncclSuccess;
  return ncclSuccess;
}
const char* ncclGetErrorString(ncclResult_t result) {
  return result == ncclSuccess ? "no error" : "remote process exited";
}
const char* ncclGetLastError(ncclComm_t /*communicator*/) {
  return "";
}
ncclResult_t ncclGroupStart() {
  return ncclSuccess;
}
ncclResult_t ncclGroupEnd() {
  MPI_Waitall(static_cast<int>(group().requests.size()), group().requests.data(),
              MPI_STATUSES_IGNORE);
  group() = {};
  return ncclSuccess;
}
ncclResult_t ncclSend(const void* data,
                      std::size_t count,
                      ncclDataType_t type,
                      int peer,
                      ncclComm_t communicator,
                      cudaStream_t /*stream*/) {
  MPI_Isend(data, static_cast<int>(count), type_of(type), peer, 0, communicator->ranks,
            &group().requests.emplace_back());
  return ncclSuccess;
}
ncclResult_t ncclRecv(void* data,
                      std::size_t count,
                      ncclDataType_t type,
                      int peer,
                      ncclComm_t communicator,
                      cudaStream_t /*stream*/) {
  MPI_Irecv(data, static_cast<int>(count), type_of(type), peer, 0, communicator->ranks,
            &group().requests.emplace_back());
  return ncclSuccess;
}
ncclResult_t ncclAllReduce(const void* send,
                           void* receive,
                           std::size_t count,
                           ncclDataType_t type,
                           ncclRedOp_t /*op*/,
                           ncclComm_t communicator,
                           cudaStream_t /*stream*/) {
  MPI_Allreduce(or_in_place(send, receive), receive, static_cast<int>(count), type_of(type),
                MPI_SUM, communicator->ranks);
  return ncclSuccess;
}
ncclResult_t ncclReduceScatter(const void* send,
                               void* receive,
                               std::size_t count,
                               ncclDataType_t type,
                               ncclRedOp_t /*op*/,
                               ncclComm_t communicator,
                               cudaStream_t /*stream*/) {
  int size = 1;
  int bytes = 0;
  MPI_Comm_size(communicator->ranks, &size);
  MPI_Type_size(type_of(type), &bytes);
  const auto* const from = static_cast<const char*>(send);
  const std::vector<char> whole(from, from + count * static_cast<std::size_t>(size * bytes));
  MPI_Reduce_scatter_block(whole.data(), receive, static_cast<int>(count), type_of(type), MPI_SUM,
                           communicator->ranks);
  return ncclSuccess;
}
ncclResult_t ncclAllGather(const void* send,
                           void* receive,
                           std::size_t count,
                           ncclDataType_t type,
                           ncclComm_t communicator,
                           cudaStream_t /*stream*/) {
  int bytes = 0;
  MPI_Type_size(type_of(type), &bytes);
  const void* const own =
      static_cast<char*>(receive) + static_cast<std::size_t>(communicator->rank * bytes) * count;
  MPI_Allgather(or_in_place(send, own), static_cast<int>(count), type_of(type), receive,
                static_cast<int>(count), type_of(type), communicator->ranks);
  return ncclSuccess;
}
ncclResult_t ncclBroadcast(const void* /*send*/,
                           void* receive,
                           std::size_t count,
                           ncclDataType_t type,
                           int root,
                           ncclComm_t communicator,
                           cudaStream_t /*stream*/) {
  MPI_Bcast(receive, static_cast<int>(count), type_of(type), root, communicator->ranks);
  return ncclSuccess;
}

namespace clausius::detail {

const NcclApi& nccl_api() {
  static const NcclApi api{.get_version = ncclGetVersion,
                           .get_unique_id = ncclGetUniqueId,
                           .comm_init_rank = ncclCommInitRank,
                           .comm_destroy = ncclCommDestroy,
                           .comm_abort = ncclCommAbort,
                           .comm_get_async_error = ncclCommGetAsyncError,
                           .get_error_string = ncclGetErrorString,
                           .get_last_error = ncclGetLastError,
                           .group_start = ncclGroupStart,
                           .group_end = ncclGroupEnd,
                           .send = ncclSend,
                           .recv = ncclRecv,
                           .all_reduce = ncclAllReduce,
                           .reduce_scatter = ncclReduceScatter,
                           .all_gather = ncclAllGather,
                           .broadcast = ncclBroadcast};
  return api;
}

}  // namespace clausius::detail
