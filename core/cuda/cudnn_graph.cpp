// SPDX-License-Identifier: Apache-2.0
// Writes graphs into cuDNN's descriptors and asks its heuristics for an engine.
#if __has_include(<cudnn.h>)
#include "core/cuda/cudnn_graph.h"

#include <algorithm>
#include <iterator>
#include <string>

#include "core/error.h"
#include "core/tensor.h"

namespace clausius::cuda {
namespace {

// Newer headers call these two deprecated; versions before 9.8 need them.
constexpr auto kGraphHandle = static_cast<cudnnBackendAttributeName_t>(800);
constexpr auto kPlanHandle = static_cast<cudnnBackendAttributeName_t>(400);
// Known since 9.11.
constexpr auto kReductionIsDeterministic = static_cast<cudnnBackendAttributeName_t>(1602);
constexpr std::int64_t kDeterministicReductions = 91100;

CudnnSizes dense_strides(const CudnnSizes& sizes) {
  return {sizes[1] * sizes[2] * sizes[3], sizes[2] * sizes[3], sizes[3], 1};
}

void set_optional(CudnnDescriptor& operation,
                  cudnnBackendAttributeName_t name,
                  const CudnnDescriptor* tensor) {
  if (tensor != nullptr) {
    operation.set(name, *tensor);
  }
}

bool noted_as_nondeterministic(const CudnnDescriptor& config) {
  CudnnDescriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  cudnnBackendDescriptor_t place = engine.get();
  (void)config.values(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &place);
  std::array<cudnnBackendNumericalNote_t, CUDNN_NUMERICAL_NOTE_TYPE_COUNT> notes{};
  const std::int64_t count =
      engine.values(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                    CUDNN_NUMERICAL_NOTE_TYPE_COUNT, notes.data());
  const auto* end = notes.data() + count;
  return std::find<const cudnnBackendNumericalNote_t*>(
             notes.data(), end, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC) != end;
}

// What the heuristics propose, best first.
std::vector<CudnnDescriptor> proposals(const CudnnDescriptor& graph) {
  CudnnDescriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, CUDNN_HEUR_MODE_A);
  heuristics.finalize();
  const std::int64_t count =
      heuristics.values(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, nullptr);
  std::vector<CudnnDescriptor> configs;
  std::vector<cudnnBackendDescriptor_t> places;
  for (std::int64_t i = 0; i < count; ++i) {
    configs.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    places.push_back(configs.back().get());
  }
  const std::int64_t written = heuristics.values(
      CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, count, places.data());
  configs.erase(configs.begin() + written, configs.end());
  return configs;
}

}  // namespace

CudnnPlan::CudnnPlan(CudnnDescriptor plan, std::vector<CudnnDescriptor> parts)
    : parts_(std::move(parts)), plan_(std::move(plan)) {
  (void)plan_.values(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1,
                     &workspace_bytes_);
}

void CudnnPlan::run(Device device, std::span<const CudnnBinding> memory) const {
  const Tensor workspace = Tensor::empty({workspace_bytes_}, Dtype::kU8, device);
  void* scratch = workspace_bytes_ > 0 ? static_cast<void*>(workspace.raw()) : nullptr;
  std::vector<std::int64_t> ids;
  std::vector<void*> pointers;
  for (const auto& [value, pointer] : memory) {
    ids.push_back(value.id);
    pointers.push_back(pointer);
  }
  const auto count = static_cast<std::int64_t>(ids.size());
  CudnnDescriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, ids.data());
  pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count, pointers.data());
  pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, scratch);
  pack.finalize();
  CLS_CUDNN_CHECK(backend_execute(cudnn_handle(device), plan_.get(), pack.get()));
}

CudnnValue CudnnGraph::tensor(cudnnDataType_t type,
                              const CudnnSizes& sizes,
                              const CudnnSizes& strides,
                              bool in_memory,
                              bool by_value) {
  const CudnnValue value{static_cast<std::int64_t>(tensors_.size()) + 1, sizes};
  CudnnDescriptor& made = tensors_.emplace_back(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  made.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, value.id);
  made.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, type);
  made.set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, sizes.data());
  made.set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides.data());
  made.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, std::int64_t{16});
  made.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, !in_memory && !by_value);
  made.set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, by_value);
  made.finalize();
  return value;
}

const CudnnDescriptor& CudnnGraph::of(const CudnnValue& value) const {
  return tensors_.at(static_cast<std::size_t>(value.id - 1));
}

CudnnValue CudnnGraph::memory(cudnnDataType_t type,
                              const CudnnSizes& sizes,
                              const CudnnSizes& strides) {
  return tensor(type, sizes, strides, true, false);
}

CudnnValue CudnnGraph::number() {
  return tensor(CUDNN_DATA_FLOAT, {1, 1, 1, 1}, {1, 1, 1, 1}, false, true);
}

CudnnValue CudnnGraph::temporary(cudnnDataType_t type,
                                 const CudnnSizes& sizes,
                                 const std::optional<CudnnSizes>& strides) {
  return tensor(type, sizes, strides.value_or(dense_strides(sizes)), false, false);
}

CudnnValue CudnnGraph::pointwise(const CudnnPointwise& p) {
  CudnnDescriptor function(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  function.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, p.mode);
  function.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, p.compute);
  if (p.axis) {
    function.set(CUDNN_ATTR_POINTWISE_AXIS, CUDNN_TYPE_INT64, *p.axis);
  }
  function.finalize();
  CudnnSizes sizes = p.x.sizes;
  for (const auto& other : {p.b, p.t}) {
    for (std::size_t axis = 0; other && axis < sizes.size(); ++axis) {
      sizes[axis] = std::max(sizes[axis], other->sizes[axis]);
    }
  }
  const CudnnValue y = p.out ? *p.out : temporary(p.type, sizes);
  CudnnDescriptor operation(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, function);
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, of(p.x));
  set_optional(operation, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, p.b ? &of(*p.b) : nullptr);
  set_optional(operation, CUDNN_ATTR_OPERATION_POINTWISE_TDESC, p.t ? &of(*p.t) : nullptr);
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, of(y));
  operation.finalize();
  operations_.push_back(std::move(operation));
  return y;
}

void CudnnGraph::matmul(const CudnnValue& a,
                        const CudnnValue& b,
                        const CudnnValue& c,
                        const CudnnMatmulSizes& sizes) {
  CudnnDescriptor function(CUDNN_BACKEND_MATMUL_DESCRIPTOR);
  function.set(CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
  function.finalize();
  CudnnDescriptor operation(CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR);
  operation.set(CUDNN_ATTR_OPERATION_MATMUL_DESC, function);
  operation.set(CUDNN_ATTR_OPERATION_MATMUL_ADESC, of(a));
  operation.set(CUDNN_ATTR_OPERATION_MATMUL_BDESC, of(b));
  operation.set(CUDNN_ATTR_OPERATION_MATMUL_CDESC, of(c));
  set_optional(operation, CUDNN_ATTR_OPERATION_MATMUL_GEMM_M_OVERRIDE_DESC,
               sizes.m ? &of(*sizes.m) : nullptr);
  set_optional(operation, CUDNN_ATTR_OPERATION_MATMUL_GEMM_N_OVERRIDE_DESC,
               sizes.n ? &of(*sizes.n) : nullptr);
  set_optional(operation, CUDNN_ATTR_OPERATION_MATMUL_GEMM_K_OVERRIDE_DESC,
               sizes.k ? &of(*sizes.k) : nullptr);
  operation.finalize();
  operations_.push_back(std::move(operation));
}

void CudnnGraph::reduce(cudnnReduceTensorOp_t op, const CudnnValue& x, const CudnnValue& y) {
  CudnnDescriptor function(CUDNN_BACKEND_REDUCTION_DESCRIPTOR);
  function.set(CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, op);
  function.set(CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
  if (cudnn().version >= kDeterministicReductions) {
    function.set(kReductionIsDeterministic, CUDNN_TYPE_BOOLEAN, true);
  }
  function.finalize();
  CudnnDescriptor operation(CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR);
  operation.set(CUDNN_ATTR_OPERATION_REDUCTION_DESC, function);
  operation.set(CUDNN_ATTR_OPERATION_REDUCTION_XDESC, of(x));
  operation.set(CUDNN_ATTR_OPERATION_REDUCTION_YDESC, of(y));
  operation.finalize();
  operations_.push_back(std::move(operation));
}

void CudnnGraph::reshape(const CudnnValue& x, const CudnnValue& y) {
  CudnnDescriptor operation(CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR);
  operation.set(CUDNN_ATTR_OPERATION_RESHAPE_XDESC, of(x));
  operation.set(CUDNN_ATTR_OPERATION_RESHAPE_YDESC, of(y));
  operation.finalize();
  operations_.push_back(std::move(operation));
}

CudnnPlan CudnnGraph::plan(Device device) && {
  const cudnnHandle_t handle = cudnn_handle(device);
  std::vector<cudnnBackendDescriptor_t> operations;
  for (const CudnnDescriptor& operation : operations_) {
    operations.push_back(operation.get());
  }
  CudnnDescriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
            static_cast<std::int64_t>(operations.size()), operations.data());
  graph.set(kGraphHandle, CUDNN_TYPE_HANDLE, handle);
  graph.finalize();
  std::string why = "its heuristics know no engine for this graph";
  for (CudnnDescriptor& config : proposals(graph)) {
    if (noted_as_nondeterministic(config)) {
      why = "its engines for this graph do not repeat their bits";
      continue;
    }
    CudnnDescriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    plan.set(kPlanHandle, CUDNN_TYPE_HANDLE, handle);
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
    const cudnnStatus_t status = cudnn().backend_finalize(plan.get());
    if (status == CUDNN_STATUS_SUCCESS) {
      std::vector<CudnnDescriptor> parts = std::move(tensors_);
      std::move(operations_.begin(), operations_.end(), std::back_inserter(parts));
      parts.push_back(std::move(graph));
      parts.push_back(std::move(config));
      return {std::move(plan), std::move(parts)};
    }
    why = cudnn_words(status);
  }
  throw DeviceError(concat("cuDNN cannot run this here: ", why));
}

}  // namespace clausius::cuda
#endif
