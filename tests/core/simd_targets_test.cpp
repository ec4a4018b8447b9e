// SPDX-License-Identifier: Apache-2.0
// The CPU kernels on every instruction set that this machine has: each must agree with the f64 reference, so that a binary is right
// on older processors too.
#include <functional>

#include <gtest/gtest.h>
#include <hwy/highway.h>

#include "core/ops/accumulate/accumulate.h"
#include "core/ops/binary/binary.h"
#include "core/ops/dropout/dropout.h"
#include "core/ops/embedding/embedding.h"
#include "core/ops/gated/gated.h"
#include "core/ops/layer_norm/layer_norm.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduce/reduce.h"
#include "core/ops/rms_norm/rms_norm.h"
#include "core/ops/rope/rope.h"
#include "core/ops/scale/scale.h"
#include "core/ops/softmax/softmax.h"
#include "tests/support/op_case.h"
#include "tests/support/random_tensor.h"

namespace clausius::test {
namespace {

// Rows longer than any register and not a multiple of one.
constexpr std::int64_t kRows = 5;
constexpr std::int64_t kWidth = 86;

// Takes inputs of one activation type (parameters f32 beside bf16) and returns every output.
using Fn =
    std::function<std::vector<Tensor>(const Tensor& x, const Tensor& dy, const Tensor& gain)>;
struct Op {
  const char* name;
  Fn fn;
};

const std::vector<Op>& ops_under_test() {
  static const Tensor samples = Tensor::zeros({kRows}, Dtype::kI64);
  static const Tensor positions =
      Tensor::from(std::vector<std::int32_t>{4, 0, 7, 2, 9}, {1, kRows});
  static const Tensor tokens = Tensor::from(std::vector<std::int32_t>{3, 1, 3, 0, 3}, {kRows});
  static const ops::RopeTable table = ops::make_rope_table(16, kWidth, 100.0, Dtype::kF64);
  static const std::vector<Op> list = {
#define CLS_POINTWISE(name, Struct)                                                       \
  {#name, [](const Tensor& x, const Tensor& dy, const Tensor& /*gain*/) {                 \
     const Tensor positive = ops::add(ops::square(x), Tensor::full({1}, 0.5, x.dtype())); \
     return std::vector{ops::name(positive), ops::name##_backward(dy, positive)};         \
   }},
#include "core/ops/pointwise_list.inc"
#undef CLS_POINTWISE
      {"softmax",
       [](const Tensor& x, const Tensor& dy, const Tensor& /*gain*/) {
         return std::vector{ops::softmax(x), ops::softmax_backward(dy, ops::softmax(x))};
       }},
      {"layer_norm",
       [](const Tensor& x, const Tensor& dy, const Tensor& gain) {
         const ops::LayerNormOutput out = ops::layer_norm(x, gain, gain, 1e-5);
         const ops::LayerNormGradients d =
             ops::layer_norm_backward(dy, x, gain, out.mean, out.rstd, true);
         return std::vector{out.y, out.mean, out.rstd, d.dx, d.dgain, d.dbias};
       }},
      {"rms_norm",
       [](const Tensor& x, const Tensor& dy, const Tensor& gain) {
         const ops::RmsNormOutput out = ops::rms_norm(x, gain, 1e-5);
         const ops::RmsNormGradients d = ops::rms_norm_backward(dy, x, gain, out.rstd);
         return std::vector{out.y, out.rstd, d.dx, d.dgain};
       }},
      {"gated",
       [](const Tensor& x, const Tensor& dy, const Tensor& /*gain*/) {
         std::vector<Tensor> outputs;
         for (const ops::Gate gate : {ops::Gate::kSilu, ops::Gate::kGelu, ops::Gate::kIdentity,
                                      ops::Gate::kSigmoid, ops::Gate::kRelu}) {
           outputs.push_back(ops::gated(x, gate));
           outputs.push_back(ops::gated_backward(dy.slice(1, 0, kWidth / 2), x, gate));
         }
         return outputs;
       }},
      {"binary",
       [](const Tensor& x, const Tensor& dy, const Tensor& gain) {
         return std::vector{ops::add(x, dy), ops::sub(x, gain), ops::mul(x, gain),
                            ops::div(x, gain), ops::scale(x, 0.7)};
       }},
      {"accumulate",
       [](const Tensor& x, const Tensor& dy, const Tensor& /*gain*/) {
         Tensor total = x.clone();
         ops::accumulate(dy, total);
         return std::vector{total};
       }},
      {"reduce",
       [](const Tensor& x, const Tensor& /*dy*/, const Tensor& /*gain*/) {
         return std::vector{ops::sum(x), ops::sum(x, {0}), ops::mean(x, {1}), ops::max(x, 0).value,
                            ops::max(x, 1).value};
       }},
      {"dropout",
       [](const Tensor& x, const Tensor& /*dy*/, const Tensor& /*gain*/) {
         return std::vector{ops::dropout(x, 0.3, RandomStream{.seed = 9, .stream = 2}, samples)};
       }},
      {"rope",
       [](const Tensor& x, const Tensor& /*dy*/, const Tensor& /*gain*/) {
         return std::vector{ops::rope(x.reshape({1, kRows, 1, kWidth}), positions, table)};
       }},
      {"embedding",
       [](const Tensor& x, const Tensor& dy, const Tensor& /*gain*/) {
         Tensor dtable =
             Tensor::empty({kRows, kWidth}, x.dtype() == Dtype::kF64 ? Dtype::kF64 : Dtype::kF32);
         ops::embedding_backward(dy, tokens, dtable, false);
         return std::vector{ops::embedding(tokens, x), dtable};
       }},
  };
  return list;
}

void compare_with_reference(const Op& op, Dtype dtype, const char* target) {
  const Tensor x = random_normal({kRows, kWidth}, "x").to(dtype);
  const Tensor dy = random_normal({kRows, kWidth}, "dy").to(dtype);
  Tensor gain = random_normal({kWidth}, "gain", 0.1);
  ops::accumulate(Tensor::full({kWidth}, 1.0, Dtype::kF64), gain);
  gain = gain.to(Dtype::kF32);
  const std::vector<Tensor> got = op.fn(x, dy, gain);
  const std::vector<Tensor> want =
      op.fn(x.to(Dtype::kF64), dy.to(Dtype::kF64), gain.to(Dtype::kF64));
  for (std::size_t k = 0; k < want.size(); ++k) {
    // Some of these functions round twice to the activation type (the positive argument, the saved softmax).
    expect_close(got[k], want[k], tolerance(dtype, kWidth, 3),
                 concat(op.name, " ", dtype, " on ", target, ", output ", k));
  }
}

TEST(SimdTargets, EveryKernelAgreesWithTheReference) {
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    for (const Op& op : ops_under_test()) {
      for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
        compare_with_reference(op, dtype, hwy::TargetName(target));
      }
    }
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

}  // namespace
}  // namespace clausius::test
