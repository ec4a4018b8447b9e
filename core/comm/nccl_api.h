// SPDX-License-Identifier: Apache-2.0
// NCCL's functions, loaded when ranks first need them: one GPU, or none, works without the library.
#pragma once

#include <nccl.h>

namespace clausius::detail {

struct NcclApi {
  decltype(&ncclGetVersion) get_version;
  decltype(&ncclGetUniqueId) get_unique_id;
  decltype(&ncclCommInitRank) comm_init_rank;
  decltype(&ncclCommDestroy) comm_destroy;
  decltype(&ncclCommAbort) comm_abort;
  decltype(&ncclCommGetAsyncError) comm_get_async_error;
  decltype(&ncclGetErrorString) get_error_string;
  decltype(&ncclGetLastError) get_last_error;
  decltype(&ncclGroupStart) group_start;
  decltype(&ncclGroupEnd) group_end;
  decltype(&ncclSend) send;
  decltype(&ncclRecv) recv;
  decltype(&ncclAllReduce) all_reduce;
  decltype(&ncclReduceScatter) reduce_scatter;
  decltype(&ncclAllGather) all_gather;
  decltype(&ncclBroadcast) broadcast;
};

/// Errors: DeviceError when the library is not there, or too old.
[[nodiscard]] const NcclApi& nccl_api();

/// Throws CommError with the call's text and NCCL's words for its result.
void check_nccl(ncclResult_t result, const char* call);

}  // namespace clausius::detail

/// CLS_NCCL_CHECK(group_start, ()): calls a function of nccl_api() and checks its result.
#define CLS_NCCL_CHECK(function, arguments)                                         \
  ::clausius::detail::check_nccl(::clausius::detail::nccl_api().function arguments, \
                                 "nccl." #function #arguments)
