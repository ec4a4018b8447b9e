// SPDX-License-Identifier: Apache-2.0
// Checked calls: an error of a CUDA library names the call.
#pragma once

#include <cuda_runtime.h>

#include "core/error.h"

/// Throws DeviceError with the call's text and CUDA's words for its result.
#define CLS_CUDA_CHECK(call)                                                                 \
  do {                                                                                       \
    const cudaError_t clausius_result = (call);                                              \
    CLS_CHECK(clausius_result == cudaSuccess, DeviceError, #call, ": ",                      \
              cudaGetErrorName(clausius_result), ", ", cudaGetErrorString(clausius_result)); \
  } while (false)
