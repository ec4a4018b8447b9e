// SPDX-License-Identifier: Apache-2.0
// Fills of device tensors: every type, dense, unaligned and strided, and nothing beside them.
#include <gtest/gtest.h>

#include "core/tensor.h"

namespace clausius {
namespace {

TEST(CudaFill, WritesTheViewAlone) {
  for (const Dtype dtype :
       {Dtype::kF64, Dtype::kF32, Dtype::kBf16, Dtype::kI64, Dtype::kI32, Dtype::kU8}) {
    for (const auto& [begin, end] : std::vector<std::pair<std::int64_t, std::int64_t>>{
             {0, 37}, {1, 37}, {16, 36}, {3, 4}, {0, 0}}) {
      Tensor line = Tensor::full({37}, 7.0, dtype, kCuda);
      line.slice(0, begin, end).fill(3.0);
      Tensor grid = Tensor::full({37, 5}, 7.0, dtype, kCuda);
      grid.slice(0, begin, end).slice(1, 1, 3).fill(3.0);
      const Tensor got = line.to(kCpu).to(Dtype::kF64);
      const Tensor cells = grid.to(kCpu).to(Dtype::kF64);
      for (std::int64_t i = 0; i < 37; ++i) {
        const bool inside = begin <= i && i < end;
        ASSERT_EQ(got.data<double>()[i], inside ? 3.0 : 7.0) << dtype << " at " << i;
        for (std::int64_t j = 0; j < 5; ++j) {
          ASSERT_EQ(cells.data<double>()[i * 5 + j], inside && 0 < j && j < 3 ? 3.0 : 7.0)
              << dtype << " at " << i << ", " << j;
        }
      }
    }
  }
}

}  // namespace
}  // namespace clausius
