// SPDX-License-Identifier: Apache-2.0
// lm_head_cross_entropy: case table against the f64 reference, against plain ops, and at its edges.
#include "core/ops/lm_head_cross_entropy/lm_head_cross_entropy.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "autograd/rules/lm_head_cross_entropy.h"
#include "core/allocator.h"
#include "tests/support/cuda_test.h"
#include "tests/support/op_case.h"
#include "tests/support/random_tensor.h"

namespace clausius {
namespace {

using test::OpCase;

// Targets spread over the vocabulary, every `ignore_every`-th ignored.
Tensor targets_of(const Shape& shape, std::int64_t vocabulary, std::int64_t ignore_every) {
  Tensor targets = Tensor::empty(shape, Dtype::kI32);
  std::int64_t n = 0;
  for (std::int32_t& target : targets.span<std::int32_t>()) {
    const bool ignored = ignore_every > 0 && n % ignore_every == 0;
    target = ignored ? kIgnoredTarget : static_cast<std::int32_t>((n * 7 + 3) % vocabulary);
    ++n;
  }
  return targets;
}

struct Options {
  std::int64_t ignore_every = 0;
  bool weighted = false;
  double scale = 1.0;
  double z_weight = 0.0;  // 0: none
};

OpCase row(const std::string& name, const Shape& x, std::int64_t vocabulary, Options options = {}) {
  Shape tokens;
  for (int axis = 0; axis + 1 < x.rank(); ++axis) {
    tokens.push_back(x[axis]);
  }
  OpCase op_case{
      .name = name,
      .inputs = {{.shape = x, .fill = options.scale > 1 ? test::Fill::kHuge : test::Fill::kNormal},
                 {.shape = {vocabulary, x[-1]}},
                 {.fixed = targets_of(tokens, vocabulary, options.ignore_every)}},
      .fn = {}};
  Tensor weights = Tensor::full(tokens, 1.0, Dtype::kF64);
  for (double& weight : weights.span<double>()) {
    weight = options.weighted
                 ? 0.25 * static_cast<double>(&weight - weights.span<double>().data() + 1)
                 : 1.0;
  }
  op_case.fn = [weights, options](const std::vector<Variable>& in) -> std::vector<Variable> {
    const Dtype wide = in[0].dtype() == Dtype::kF64 ? Dtype::kF64 : Dtype::kF32;
    const Device device = in[0].value().device();
    const Tensor z_weight =
        options.z_weight != 0 ? Tensor::scalar(options.z_weight, Dtype::kF64, device) : Tensor();
    return {lm_head_cross_entropy(in[0], in[1], in[2].value(),
                                  options.weighted ? weights.to(wide) : Tensor(), z_weight)
                .optimized};
  };
  op_case.reduction = std::max({tokens.numel(), x[-1], vocabulary});
  // bf16: dlogits, then dx and dW.
  op_case.roundings = 2;
  return op_case;
}

CLS_OP_CASES(lm_head_cross_entropy,
             {row("scalar", {1, 1}, 1), row("one_token", {5}, 7), row("small", {3, 4}, 5),
              row("batch", {2, 3, 4}, 11, {.weighted = true}),
              row("prime", {37, 13}, 101, {.ignore_every = 3, .weighted = true}),
              row("over_a_block", {67, 33}, 300, {.ignore_every = 5}),
              row("all_ignored", {6, 4}, 5, {.ignore_every = 1}), row("no_tokens", {0, 4}, 5),
              row("padded_rows", {5, 2}, 1024), row("huge", {9, 8}, 33, {.scale = 1000.0}),
              row("z_loss", {2, 3, 4}, 11, {.weighted = true, .z_weight = 0.3}),
              row("z_loss_prime", {37, 13}, 101, {.ignore_every = 3, .z_weight = 0.02}),
              row("z_loss_all_ignored", {6, 4}, 5, {.ignore_every = 1, .z_weight = 0.3}),
              row("z_loss_one_logit", {3, 2}, 1, {.z_weight = 0.7})});

struct Inputs {
  Tensor x;
  Tensor weight;
  Tensor targets;
};

Inputs inputs(std::int64_t tokens, std::int64_t width, std::int64_t vocabulary, Dtype dtype) {
  return {.x = test::random_normal({tokens, width}, "x").to(dtype),
          .weight = test::random_normal({vocabulary, width}, "weight").to(dtype),
          .targets = targets_of({tokens}, vocabulary, 4)};
}

TEST(LmHeadCrossEntropy, TokenLossesAndLse) {
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
    const Inputs in = inputs(41, 19, 133, dtype);
    const ops::LmHeadLoss got = ops::lm_head_cross_entropy(in.x, in.weight, in.targets, {}, {});
    const ops::LmHeadLoss want = ops::lm_head_cross_entropy(
        in.x.to(Dtype::kF64), in.weight.to(Dtype::kF64), in.targets, {}, {});
    const double limit = test::tolerance(Dtype::kF32, 133);
    test::expect_close(got.token_loss_N, want.token_loss_N, limit, "token loss");
    test::expect_close(got.lse_N, want.lse_N, limit, "lse");
    test::expect_close(got.loss_sum, want.loss_sum, limit, "loss sum");
    EXPECT_EQ(got.token_loss_N.span<float>()[4], 0.0F);
    EXPECT_EQ(got.lse_N.span<float>()[4], 0.0F);
    EXPECT_FALSE(got.dx.defined());
    EXPECT_FALSE(got.dweight_VM.defined());
  }
}

// A fall of the logits, so that log-sum-exps are below 0: their mean, largest and squares by their definitions.
void check_lse_sums(Device device) {
  Inputs in = inputs(41, 19, 133, Dtype::kF32);
  in.weight.fill(-0.9);
  in.x.fill(1.5);
  for (std::int64_t i = 0; i < in.x.numel(); ++i) {
    in.x.span<float>()[static_cast<std::size_t>(i)] += 0.01F * static_cast<float>(i % 7);
  }
  const ops::LmHeadLoss loss = ops::lm_head_cross_entropy(in.x.to(device), in.weight.to(device),
                                                          in.targets.to(device), {}, {});
  double squares = 0;
  double sum = 0;
  double largest = -std::numeric_limits<double>::infinity();
  const Tensor lse_N = loss.lse_N.to(kCpu);
  for (std::int64_t n = 0; n < 41; ++n) {
    if (in.targets.span<std::int32_t>()[static_cast<std::size_t>(n)] != kIgnoredTarget) {
      const double lse = lse_N.data<float>()[n];
      squares += lse * lse;
      sum += lse;
      largest = std::max(largest, lse);
    }
  }
  ASSERT_LT(largest, 0);
  const Tensor got = loss.lse_sums.to(kCpu);
  EXPECT_NEAR(got.data<double>()[0], squares, 1e-12 * squares);
  EXPECT_NEAR(got.data<double>()[1], sum, 1e-12 * squares);
  EXPECT_EQ(got.data<double>()[2], largest);
}

TEST(LmHeadCrossEntropy, SumsOfLseLeaveIgnoredTokensOut) {
  check_lse_sums(kCpu);
}

// Where z_weight is 0 or there is none, nothing changes, to the bit.
void check_no_z_weight(Device device) {
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
    const Inputs in = inputs(70, 24, 257, dtype);
    const auto run = [&](const Tensor& z_weight) {
      return ops::lm_head_cross_entropy(in.x.to(device), in.weight.to(device),
                                        in.targets.to(device), {},
                                        {.dx = true, .dweight = true, .z_weight = z_weight});
    };
    const ops::LmHeadLoss none = run({});
    const ops::LmHeadLoss zero = run(Tensor::scalar(0.0, Dtype::kF64, device));
    const ops::LmHeadLoss some = run(Tensor::scalar(0.1, Dtype::kF64, device));
    test::expect_bits_equal(zero.dx.to(kCpu), none.dx.to(kCpu), "dx");
    test::expect_bits_equal(zero.dweight_VM.to(kCpu), none.dweight_VM.to(kCpu), "dweight");
    test::expect_bits_equal(some.loss_sum.to(kCpu), none.loss_sum.to(kCpu), "loss");
  }
}

TEST(LmHeadCrossEntropy, AZWeightOfZeroIsNone) {
  check_no_z_weight(kCpu);
}

TEST(LmHeadCrossEntropy, LossIsTheSameWithAndWithoutGradients) {
  const Inputs in = inputs(70, 24, 257, Dtype::kF32);
  const ops::LmHeadLoss plain = ops::lm_head_cross_entropy(in.x, in.weight, in.targets, {}, {});
  const ops::LmHeadLoss full =
      ops::lm_head_cross_entropy(in.x, in.weight, in.targets, {}, {.dx = true, .dweight = true});
  test::expect_bits_equal(plain.loss_sum, full.loss_sum, "loss sum");
  test::expect_bits_equal(plain.token_loss_N, full.token_loss_N, "token loss");
}

void check_chunks(const Inputs& in, const ops::LmHeadOptions& options, Device device) {
  const Dtype dtype = in.x.dtype();
  const std::int64_t tokens = in.x.size(0);
  const std::int64_t vocabulary = in.weight.size(0);
  const ops::LmHeadLoss got = ops::lm_head_cross_entropy(in.x.to(device), in.weight.to(device),
                                                         in.targets.to(device), {}, options);
  const ops::LmHeadLoss want = ops::lm_head_cross_entropy(
      in.x.to(Dtype::kF64), in.weight.to(Dtype::kF64), in.targets, {}, options);
  const double limit = test::tolerance(Dtype::kF32, vocabulary);
  test::expect_close(got.loss_sum.to(kCpu), want.loss_sum, limit, "loss sum");
  test::expect_close(got.token_loss_N.to(kCpu), want.token_loss_N, limit, "token loss");
  test::expect_close(got.lse_N.to(kCpu), want.lse_N, limit, "lse");
  test::expect_close(got.dx.to(kCpu), want.dx, test::tolerance(dtype, vocabulary, 2), "dx");
  test::expect_close(got.dweight_VM.to(kCpu), want.dweight_VM, test::tolerance(dtype, tokens, 2),
                     "dweight");
}

// 7 rows of logits a chunk.
const ops::LmHeadOptions kManyChunks{.dx = true, .dweight = true, .chunk_bytes = 7 * 67 * 4 + 3};

TEST(LmHeadCrossEntropy, ManyChunksEqualTheReference) {
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
    check_chunks(inputs(53, 9, 67, dtype), kManyChunks, kCpu);
  }
}

// alpha against a scaled copy of the weight: the losses, the gradient of x, and dweight as that of the copy.
void check_alpha(Device device) {
  constexpr double kAlpha = 0.375;  // exact in every type
  for (const Dtype dtype : {Dtype::kF64, Dtype::kF32, Dtype::kBf16}) {
    if (dtype == Dtype::kF64 && device != kCpu) {
      continue;
    }
    const Inputs in = inputs(53, 9, 67, dtype);
    const Dtype wide = dtype == Dtype::kF64 ? Dtype::kF64 : Dtype::kF32;
    const ops::LmHeadLoss got =
        ops::lm_head_cross_entropy(in.x.to(device), in.weight.to(device), in.targets.to(device), {},
                                   {.dx = true,
                                    .dweight = true,
                                    .chunk_bytes = 7 * 67 * 4 + 3,
                                    .alpha = Tensor::full({1}, kAlpha, wide, device)});
    Tensor scaled = in.weight.to(Dtype::kF64).clone();
    for (double& value : scaled.span<double>()) {
      value *= kAlpha;
    }
    const ops::LmHeadLoss want = ops::lm_head_cross_entropy(
        in.x.to(Dtype::kF64), scaled, in.targets, {}, {.dx = true, .dweight = true});
    const std::string what = concat("alpha, ", dtype, ": ");
    test::expect_close(got.token_loss_N.to(kCpu), want.token_loss_N, test::tolerance(wide, 67),
                       what + "token loss");
    test::expect_close(got.dx.to(kCpu), want.dx, test::tolerance(dtype, 67, 2), what + "dx");
    test::expect_close(got.dweight_VM.to(kCpu), want.dweight_VM, test::tolerance(dtype, 53, 2),
                       what + "dweight");
  }
}

TEST(LmHeadCrossEntropy, AlphaScalesTheLogits) {
  check_alpha(kCpu);
}

class CudaLmHeadCrossEntropy : public test::OnCuda<> {};

TEST_F(CudaLmHeadCrossEntropy, AlphaScalesTheLogits) {
  check_alpha(kCuda);
}

TEST_F(CudaLmHeadCrossEntropy, SumsOfLseLeaveIgnoredTokensOut) {
  check_lse_sums(kCuda);
}

TEST_F(CudaLmHeadCrossEntropy, AZWeightOfZeroIsNone) {
  check_no_z_weight(kCuda);
}

TEST_F(CudaLmHeadCrossEntropy, ManyChunksAndLongRowsEqualTheReference) {
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
    const PoisonFreshMemory poison;
    check_chunks(inputs(53, 9, 67, dtype), kManyChunks, kCuda);
    // Several vectors of logits a thread.
    check_chunks(inputs(3, 5, 50257, dtype), {.dx = true, .dweight = true}, kCuda);
  }
}

TEST(LmHeadCrossEntropy, AllIgnoredWritesZeros) {
  const PoisonFreshMemory poison;
  Inputs in = inputs(5, 4, 6, Dtype::kF32);
  in.targets.fill(kIgnoredTarget);
  const ops::LmHeadLoss loss =
      ops::lm_head_cross_entropy(in.x, in.weight, in.targets, {}, {.dx = true, .dweight = true});
  EXPECT_EQ(loss.loss_sum.item(), 0.0);
  for (const Tensor& zero : {loss.token_loss_N, loss.lse_N, loss.dx, loss.dweight_VM}) {
    for (const float value : zero.span<float>()) {
      ASSERT_EQ(value, 0.0F);
    }
  }
}

TEST(LmHeadCrossEntropy, NanReachesTheLoss) {
  Inputs in = inputs(3, 2, 4, Dtype::kF32);
  in.x.span<float>()[2] = std::numeric_limits<float>::quiet_NaN();
  const ops::LmHeadLoss loss = ops::lm_head_cross_entropy(in.x, in.weight, in.targets, {}, {});
  EXPECT_TRUE(std::isnan(loss.loss_sum.item()));
}

TEST(LmHeadCrossEntropy, MistakesAreNamed) {
  Inputs in = inputs(6, 4, 5, Dtype::kF32);
  in.targets.span<std::int32_t>()[3] = 5;
  try {
    (void)ops::lm_head_cross_entropy(in.x, in.weight, in.targets, {}, {});
    FAIL();
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("target 5 at position 3"), std::string::npos)
        << error.what();
  }
  in.targets.span<std::int32_t>()[3] = -1;
  EXPECT_THROW((void)ops::lm_head_cross_entropy(in.x, in.weight, in.targets, {}, {}), DataError);
  EXPECT_THROW((void)ops::lm_head_cross_entropy(in.x, in.weight, in.x, {}, {}), ShapeError);
}

}  // namespace
}  // namespace clausius
