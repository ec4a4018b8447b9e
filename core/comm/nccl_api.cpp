// SPDX-License-Identifier: Apache-2.0
// Loading NCCL.
#if __has_include(<nccl.h>)
#include "core/comm/nccl_api.h"

#include <cstdlib>

#include "core/cuda/dynamic_library.h"

namespace clausius::detail {

const NcclApi& nccl_api() {
  static const NcclApi api = [] {
    // NVLink multicast needs a set-up that many hosts lack, and then hangs; whoever has it says NCCL_NVLS_ENABLE=1.
    ::setenv("NCCL_NVLS_ENABLE", "0", /*replace=*/0);
    const cuda::DynamicLibrary library("NCCL", "libnccl.so.2");
    const auto load = [&library]<class Function>(Function*& function, const char* symbol) {
      function = library.function<Function>(symbol);
    };
    NcclApi made{};
    load(made.get_version, "ncclGetVersion");
    load(made.get_unique_id, "ncclGetUniqueId");
    load(made.comm_init_rank, "ncclCommInitRank");
    load(made.comm_destroy, "ncclCommDestroy");
    load(made.comm_abort, "ncclCommAbort");
    load(made.comm_get_async_error, "ncclCommGetAsyncError");
    load(made.get_error_string, "ncclGetErrorString");
    load(made.get_last_error, "ncclGetLastError");
    load(made.group_start, "ncclGroupStart");
    load(made.group_end, "ncclGroupEnd");
    load(made.send, "ncclSend");
    load(made.recv, "ncclRecv");
    load(made.all_reduce, "ncclAllReduce");
    load(made.reduce_scatter, "ncclReduceScatter");
    load(made.all_gather, "ncclAllGather");
    load(made.broadcast, "ncclBroadcast");
    return made;
  }();
  return api;
}

}  // namespace clausius::detail
#endif
