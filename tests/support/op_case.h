// SPDX-License-Identifier: Apache-2.0
// The case-table harness: one row of an op, checked forward and backward against its f64 reference.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "autograd/gradcheck.h"
#include "autograd/variable.h"
#include "core/tensor.h"

namespace clausius::test {

enum class Fill {
  kNormal,    // standard normal
  kUniform,   // [0.5, 1.5): for gains, scales and divisors
  kHuge,      // normal times 1000
  kOneHot,    // 0 but for one 30 in the last dimension of each row
  kConstant,  // 1
};

struct OpInput {
  Shape shape = {};
  Fill fill = Fill::kNormal;
  /// Stays f32 when the row runs in bf16 (gains, biases, statistics).
  bool keep_f32 = false;
  /// Used as given in every type (token ids, offsets, masks).
  Tensor fixed = {};
};

/// One row of a case table.
struct OpCase {
  std::string name;
  std::vector<OpInput> inputs;
  DifferentiableFn fn;
  /// Longest sum behind one output or gradient element: sets the tolerance.
  std::int64_t reduction = 1;
  /// Roundings to the working type between input and output (bf16 stores them): sets the tolerance.
  int roundings = 1;
  std::vector<Dtype> dtypes = {Dtype::kF32, Dtype::kBf16};
  bool check_gradient = true;
  GradcheckOptions gradcheck = {};
};

/// Largest error that rounding explains, relative to the largest value of the tensor compared: unit
/// roundoff times the roundings, plus f32 accumulation over `reduction` terms.
[[nodiscard]] double tolerance(Dtype dtype, std::int64_t reduction, int roundings = 1);

/// Runs the row: (1) gradcheck of the f64 reference; (2) f32 and bf16 forward and backward against
/// the reference on the same (rounded) inputs; (3) fresh memory poisoned with NaN; (4) strided
/// inputs; (5) two runs bit-equal; (6) every instruction set that the machine has. Failures name op, row, type, tensor, index, expected, got,
/// relative error.
/// Where the process has a CUDA device (real or emulated), (2) to (5) hold there too.
void run_op_case(const OpCase& op_case);

/// Set by the binary of the emulated device: what concerns the CPU alone is tested elsewhere.
extern bool only_cuda_rows;

/// Fails with the first bad index unless |got - want| <= tolerance * (largest |want|), NaN and
/// infinities matching exactly.
void expect_close(const Tensor& got, const Tensor& want, double tolerance, const std::string& what);
void expect_bits_equal(const Tensor& a, const Tensor& b, const std::string& what);

/// Prints as the row's name in parameterized tests.
void PrintTo(const OpCase& op_case, std::ostream* out);  // NOLINT: GoogleTest's name

}  // namespace clausius::test

/// CLS_OP_CASES(softmax, softmax_cases()) makes one test a row: rerun one with
/// --gtest_filter='*softmax*/row_name'.
#define CLS_OP_CASES(op, ...)                                                                      \
  class op##_cases : public ::testing::TestWithParam<::clausius::test::OpCase> {};                 \
  TEST_P(op##_cases, row) {                                                                        \
    ::clausius::test::run_op_case(GetParam());                                                     \
  }                                                                                                \
  INSTANTIATE_TEST_SUITE_P(op, op##_cases,                                                         \
                           ::testing::ValuesIn(std::vector<::clausius::test::OpCase> __VA_ARGS__), \
                           [](const auto& row_info) { return row_info.param.name; })
