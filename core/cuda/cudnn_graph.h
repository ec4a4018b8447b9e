// SPDX-License-Identifier: Apache-2.0
// A computation as cuDNN wants it: tensors and operations between them, and the plan that runs them as one.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/cuda/cudnn.h"

namespace clausius::cuda {

using CudnnSizes = std::array<std::int64_t, 4>;

/// A tensor of a graph.
struct CudnnValue {
  std::int64_t id = 0;
  CudnnSizes sizes{};
};

/// y = mode(x, b, t), broadcast; into `out` where that is given.
struct CudnnPointwise {
  cudnnPointwiseMode_t mode{};
  CudnnValue x;
  std::optional<CudnnValue> b = {};
  std::optional<CudnnValue> t = {};
  std::optional<CudnnValue> out = {};
  cudnnDataType_t type = CUDNN_DATA_FLOAT;  // of y
  cudnnDataType_t compute = CUDNN_DATA_FLOAT;
  std::optional<std::int64_t> axis = {};  // of an index
};

/// Rows of a and c, columns of b and c, and terms of a sum that exist, i32 [B, 1, 1, 1]; all where not given.
struct CudnnMatmulSizes {
  std::optional<CudnnValue> m = {};
  std::optional<CudnnValue> n = {};
  std::optional<CudnnValue> k = {};
};

/// Memory of each tensor of a graph that has any; numbers are in host memory.
using CudnnBinding = std::pair<CudnnValue, void*>;

/// An engine's program for a graph.
class CudnnPlan {
 public:
  /// `parts`: descriptors that `plan` is made of, which live as long.
  CudnnPlan(CudnnDescriptor plan, std::vector<CudnnDescriptor> parts);
  /// On the compute stream.
  void run(Device device, std::span<const CudnnBinding> memory) const;

 private:
  std::vector<CudnnDescriptor> parts_;
  CudnnDescriptor plan_;
  std::int64_t workspace_bytes_ = 0;
};

/// Errors of its calls: DeviceError with cuDNN's words. Sums are f32.
class CudnnGraph {
 public:
  /// Memory, 16-byte aligned, that run() is told of.
  CudnnValue memory(cudnnDataType_t type, const CudnnSizes& sizes, const CudnnSizes& strides);
  /// One number that run() is told of.
  CudnnValue number();
  /// What only the graph sees; dense, in the order of `strides` where these are given.
  CudnnValue temporary(cudnnDataType_t type,
                       const CudnnSizes& sizes,
                       const std::optional<CudnnSizes>& strides = {});

  CudnnValue pointwise(const CudnnPointwise& operation);
  /// c = a b, batched over the first two axes, of which a's second may be a multiple of b's.
  void matmul(const CudnnValue& a,
              const CudnnValue& b,
              const CudnnValue& c,
              const CudnnMatmulSizes& sizes = {});
  /// y = the sum or maximum of x over the axes along which y is smaller.
  void reduce(cudnnReduceTensorOp_t op, const CudnnValue& x, const CudnnValue& y);
  /// y = x's elements seen with other sizes and strides.
  void reshape(const CudnnValue& x, const CudnnValue& y);

  /// The first engine that cuDNN proposes, can build, and does not note as nondeterministic (attention's it does not note: there
  /// the graph's form decides). Nothing is timed.
  /// Errors: DeviceError with cuDNN's words where there is none.
  [[nodiscard]] CudnnPlan plan(Device device) &&;

 private:
  CudnnValue tensor(cudnnDataType_t type,
                    const CudnnSizes& sizes,
                    const CudnnSizes& strides,
                    bool in_memory,
                    bool by_value);
  const CudnnDescriptor& of(const CudnnValue& value) const;

  std::vector<CudnnDescriptor> tensors_;
  std::vector<CudnnDescriptor> operations_;
};

}  // namespace clausius::cuda
