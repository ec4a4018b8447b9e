// SPDX-License-Identifier: Apache-2.0
// The functions of cuBLASLt that we call, each looked up in the library when first called: one binary runs with and without it, and
// callers include <cublasLt.h> and know nothing of this. A function missing here is an error of the linker.
#include <string>

// Hidden: the library's own calls must find its own functions, never these.
#pragma GCC visibility push(hidden)
#include <cublasLt.h>
#pragma GCC visibility pop

#include "core/cuda/dynamic_library.h"
#include "core/error.h"
#include "core/libraries.h"

namespace clausius::cuda {
namespace {

const DynamicLibrary& cublaslt() {
  static const DynamicLibrary library("cuBLASLt", concat("libcublasLt.so.", CUBLAS_VER_MAJOR));
  return library;
}

std::string cublaslt_version() {
  if (!cublaslt().available()) {
    return "cannot be loaded: " + cublaslt().failure();
  }
  const std::size_t version =
      cublaslt().function<decltype(cublasLtGetVersion)>("cublasLtGetVersion")();
  return concat(version / 10000, ".", version / 100 % 100, ".", version % 100);
}
CLS_LIBRARY("cuBLASLt", cublaslt_version);

}  // namespace
}  // namespace clausius::cuda

#define CLS_CUBLASLT(result, name, parameters, ...)                                             \
  result CUBLASWINAPI name parameters {                                                         \
    static auto* const function = ::clausius::cuda::cublaslt().function<decltype(name)>(#name); \
    return function(__VA_ARGS__);                                                               \
  }

CLS_CUBLASLT(const char*, cublasLtGetStatusName, (cublasStatus_t status), status)
CLS_CUBLASLT(const char*, cublasLtGetStatusString, (cublasStatus_t status), status)
CLS_CUBLASLT(cublasStatus_t, cublasLtCreate, (cublasLtHandle_t * handle), handle)
CLS_CUBLASLT(cublasStatus_t, cublasLtDestroy, (cublasLtHandle_t handle), handle)
CLS_CUBLASLT(cublasStatus_t,
             cublasLtMatrixLayoutInit_internal,
             (cublasLtMatrixLayout_t layout,
              std::size_t size,
              cudaDataType type,
              std::uint64_t rows,
              std::uint64_t columns,
              std::int64_t step),
             layout,
             size,
             type,
             rows,
             columns,
             step)
CLS_CUBLASLT(cublasStatus_t,
             cublasLtMatrixLayoutSetAttribute,
             (cublasLtMatrixLayout_t layout,
              cublasLtMatrixLayoutAttribute_t attribute,
              const void* value,
              std::size_t size),
             layout,
             attribute,
             value,
             size)
CLS_CUBLASLT(cublasStatus_t,
             cublasLtMatmulDescInit_internal,
             (cublasLtMatmulDesc_t product,
              std::size_t size,
              cublasComputeType_t compute,
              cudaDataType_t scale),
             product,
             size,
             compute,
             scale)
CLS_CUBLASLT(cublasStatus_t,
             cublasLtMatmulDescSetAttribute,
             (cublasLtMatmulDesc_t product,
              cublasLtMatmulDescAttributes_t attribute,
              const void* value,
              std::size_t size),
             product,
             attribute,
             value,
             size)
CLS_CUBLASLT(cublasStatus_t,
             cublasLtMatmulPreferenceInit_internal,
             (cublasLtMatmulPreference_t preference, std::size_t size),
             preference,
             size)
CLS_CUBLASLT(cublasStatus_t,
             cublasLtMatmulPreferenceSetAttribute,
             (cublasLtMatmulPreference_t preference,
              cublasLtMatmulPreferenceAttributes_t attribute,
              const void* value,
              std::size_t size),
             preference,
             attribute,
             value,
             size)
CLS_CUBLASLT(cublasStatus_t,
             cublasLtMatmulAlgoGetHeuristic,
             (cublasLtHandle_t handle,
              cublasLtMatmulDesc_t product,
              cublasLtMatrixLayout_t a,
              cublasLtMatrixLayout_t b,
              cublasLtMatrixLayout_t c,
              cublasLtMatrixLayout_t d,
              cublasLtMatmulPreference_t preference,
              int wanted,
              cublasLtMatmulHeuristicResult_t found[],
              int* count),
             handle,
             product,
             a,
             b,
             c,
             d,
             preference,
             wanted,
             found,
             count)
CLS_CUBLASLT(cublasStatus_t,
             cublasLtMatmul,
             (cublasLtHandle_t handle,
              cublasLtMatmulDesc_t product,
              const void* alpha,
              const void* a,
              cublasLtMatrixLayout_t a_layout,
              const void* b,
              cublasLtMatrixLayout_t b_layout,
              const void* beta,
              const void* c,
              cublasLtMatrixLayout_t c_layout,
              void* d,
              cublasLtMatrixLayout_t d_layout,
              const cublasLtMatmulAlgo_t* algorithm,
              void* workspace,
              std::size_t workspace_bytes,
              cudaStream_t stream),
             handle,
             product,
             alpha,
             a,
             a_layout,
             b,
             b_layout,
             beta,
             c,
             c_layout,
             d,
             d_layout,
             algorithm,
             workspace,
             workspace_bytes,
             stream)
