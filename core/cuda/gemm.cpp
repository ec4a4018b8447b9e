// SPDX-License-Identifier: Apache-2.0
// run_gemm by cuBLASLt: layouts, epilogue and the first algorithm of its heuristic, found once a problem. No algorithm is timed,
// so that every run of a program takes the same one.
#include <bit>
#include <cstdint>
#include <cublasLt.h>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "core/checked.h"
#include "core/cuda/check.h"
#include "core/cuda/context.h"
#include "core/cuda/gemm_problem.h"
#include "core/cuda/gemm_workspace.h"
#include "core/tensor.h"

/// Throws DeviceError with the call's text and cuBLAS's words for its result.
#define CLS_CUBLAS_CHECK(call)                                                    \
  do {                                                                            \
    const cublasStatus_t clausius_result = (call);                                \
    CLS_CHECK(clausius_result == CUBLAS_STATUS_SUCCESS, DeviceError, #call, ": ", \
              cublasLtGetStatusName(clausius_result), ", ",                       \
              cublasLtGetStatusString(clausius_result));                          \
  } while (false)

namespace clausius::cuda {
namespace {

struct Library {
  cublasLtHandle_t handle = nullptr;
  Tensor workspace;
  Tensor betas;  // 0 and 1, for products whose alpha is on the device: both are read there, or none
};

// The heuristic wants to know how far the operands are aligned.
struct Key {
  GemmProblem problem;
  std::uint32_t a_alignment = 0;
  std::uint32_t b_alignment = 0;
  std::uint32_t c_alignment = 0;
  std::uint32_t out_alignment = 0;
  int device = 0;
  auto operator<=>(const Key&) const = default;  // NOLINT(modernize-use-nullptr)
};

struct Plan {
  cublasLtMatmulDescOpaque_t product{};
  cublasLtMatrixLayoutOpaque_t a{};
  cublasLtMatrixLayoutOpaque_t b{};
  cublasLtMatrixLayoutOpaque_t c{};
  cublasLtMatrixLayoutOpaque_t out{};
  cublasLtMatmulAlgo_t algorithm{};
};

std::uint32_t alignment_of(const void* pointer) {
  constexpr std::uintptr_t kMost = 256;
  const auto address = reinterpret_cast<std::uintptr_t>(pointer) | kMost;
  return std::uint32_t{1} << std::countr_zero(address);
}

cudaDataType_t type_of(Dtype dtype) {
  return dtype == Dtype::kBf16 ? CUDA_R_16BF : CUDA_R_32F;
}

template <class T>
void set(cublasLtMatmulDescOpaque_t& product, cublasLtMatmulDescAttributes_t name, const T& value) {
  CLS_CUBLAS_CHECK(cublasLtMatmulDescSetAttribute(&product, name, &value, sizeof value));
}

template <class T>
void set(cublasLtMatmulPreferenceOpaque_t& preference,
         cublasLtMatmulPreferenceAttributes_t name,
         const T& value) {
  CLS_CUBLAS_CHECK(cublasLtMatmulPreferenceSetAttribute(&preference, name, &value, sizeof value));
}

// A matrix as the library, which thinks in columns, sees it: `rows` dense elements, `columns` times.
void describe(cublasLtMatrixLayoutOpaque_t& layout,
              Dtype dtype,
              std::int64_t rows,
              std::int64_t columns,
              std::int64_t step,
              std::int64_t batch,
              std::int64_t stride) {
  CLS_CUBLAS_CHECK(cublasLtMatrixLayoutInit(&layout, type_of(dtype),
                                            static_cast<std::uint64_t>(rows),
                                            static_cast<std::uint64_t>(columns), step));
  if (batch > 1) {
    const auto count = narrow<std::int32_t>(batch);
    CLS_CUBLAS_CHECK(cublasLtMatrixLayoutSetAttribute(&layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT,
                                                      &count, sizeof count));
    CLS_CUBLAS_CHECK(cublasLtMatrixLayoutSetAttribute(
        &layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride, sizeof stride));
  }
}

// In columns our rows are the transposes: out^T = b^T a^T.
void describe(Plan& plan, const GemmProblem& p) {
  CLS_CUBLAS_CHECK(cublasLtMatmulDescInit(&plan.product, CUBLAS_COMPUTE_32F, CUDA_R_32F));
  set(plan.product, CUBLASLT_MATMUL_DESC_TRANSA, p.b.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(plan.product, CUBLASLT_MATMUL_DESC_TRANSB, p.a.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
  if (p.device_scale) {
    set(plan.product, CUBLASLT_MATMUL_DESC_POINTER_MODE, CUBLASLT_POINTER_MODE_DEVICE);
  }
  if (p.bias) {
    set(plan.product, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
  }
  describe(plan.b, p.in_dtype, p.b.transposed ? p.k : p.n, p.b.transposed ? p.n : p.k, p.b.step,
           p.batch, p.b_stride);
  describe(plan.a, p.in_dtype, p.a.transposed ? p.m : p.k, p.a.transposed ? p.k : p.m, p.a.step,
           p.batch, p.a_stride);
  describe(plan.c, p.out_dtype, p.n, p.m, p.c_step, p.batch, p.c_stride);
  describe(plan.out, p.out_dtype, p.n, p.m, p.out_step, p.batch, p.out_stride);
}

// None where the library has no algorithm for a row of c that serves all.
std::optional<Plan> make_plan(cublasLtHandle_t handle, const Key& key) {
  Plan plan;
  describe(plan, key.problem);
  cublasLtMatmulPreferenceOpaque_t preference{};
  CLS_CUBLAS_CHECK(cublasLtMatmulPreferenceInit(&preference));
  set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
      static_cast<std::uint64_t>(kGemmWorkspaceBytes));
  // Partial sums of a long K stay f32 and are added in a step of their own, in order.
  set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
      static_cast<std::uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, key.b_alignment);
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, key.a_alignment);
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, key.c_alignment);
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, key.out_alignment);
  cublasLtMatmulHeuristicResult_t found{};
  int count = 0;
  const cublasStatus_t result = cublasLtMatmulAlgoGetHeuristic(
      handle, &plan.product, &plan.b, &plan.a, &plan.c, &plan.out, &preference, 1, &found, &count);
  const GemmProblem& p = key.problem;
  if (p.c_step == 0 && (result != CUBLAS_STATUS_SUCCESS || count == 0)) {
    return std::nullopt;
  }
  CLS_CHECK(result == CUBLAS_STATUS_SUCCESS && count > 0, DeviceError,
            "cublasLtMatmulAlgoGetHeuristic: ", cublasLtGetStatusName(result), ", ", count,
            " algorithms for ", p.batch, " products [", p.m, ", ", p.k, "] x [", p.k, ", ", p.n,
            "] of ", p.in_dtype, " into ", p.out_dtype, p.bias ? " with a bias" : "",
            ", rows apart by ", p.a.step, ", ", p.b.step, ", ", p.c_step, ", ", p.out_step);
  plan.algorithm = found.algo;
  return plan;
}

// Never destroyed: the library may be unloaded before static storage is.
Library& library_of(Device device) {
  static auto& libraries = *new std::map<int, Library>;
  Library& library = libraries[device.index];
  if (library.handle == nullptr) {
    library.workspace = Tensor::empty({kGemmWorkspaceBytes}, Dtype::kU8, device);
    library.betas = Tensor::from(std::vector<float>{0.0F, 1.0F}, {2}).to(device);
    CLS_CUBLAS_CHECK(cublasLtCreate(&library.handle));
  }
  return library;
}

}  // namespace

bool run_gemm(
    const GemmProblem& problem, const GemmPointers& data, float alpha, float beta, Device device) {
  static std::mutex mutex;  // over the plans too: the bias's place is written into one
  static std::map<Key, std::optional<Plan>> plans;
  const std::lock_guard lock(mutex);
  Library& library = library_of(device);
  const Key key{.problem = problem,
                .a_alignment = alignment_of(data.a),
                .b_alignment = alignment_of(data.b),
                .c_alignment = alignment_of(data.c),
                .out_alignment = alignment_of(data.out),
                .device = device.index};
  auto plan = plans.find(key);
  if (plan == plans.end()) {
    plan = plans.emplace(key, make_plan(library.handle, key)).first;
  }
  if (!plan->second) {
    return false;
  }
  Plan& p = *plan->second;
  if (problem.bias) {
    set(p.product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, data.bias);
  }
  const float* alpha_at = problem.device_scale ? data.alpha : &alpha;
  const float* beta_at =
      problem.device_scale ? library.betas.data<float>() + (beta != 0 ? 1 : 0) : &beta;
  CLS_CUBLAS_CHECK(cublasLtMatmul(library.handle, &p.product, alpha_at, data.b, &p.b, data.a, &p.a,
                                  beta_at, data.c, &p.c, data.out, &p.out, &p.algorithm,
                                  library.workspace.raw(), kGemmWorkspaceBytes, compute_stream()));
  return true;
}

}  // namespace clausius::cuda
