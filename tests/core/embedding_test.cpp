// SPDX-License-Identifier: Apache-2.0
// embedding: case table, accumulation, ids outside the vocabulary, independence of threads.
#include "core/ops/embedding/embedding.h"

#include <cmath>

#include <gtest/gtest.h>

#include "autograd/rules/embedding.h"
#include "core/parallel.h"
#include "core/random.h"
#include "tests/support/cuda_test.h"
#include "tests/support/op_case.h"
#include "tests/support/random_tensor.h"

namespace clausius::test {
namespace {

// Half of the tokens are token 1, as frequent words are.
Tensor tokens(const Shape& shape, std::int64_t vocabulary) {
  Tensor ids = Tensor::empty(shape, Dtype::kI32);
  const RandomStream stream{.seed = 3, .stream = stream_of("tokens")};
  std::uint32_t i = 0;
  for (std::int32_t& id : ids.span<std::int32_t>()) {
    const std::uint64_t draw = stream.below(2 * static_cast<std::uint64_t>(vocabulary), i++);
    id = static_cast<std::int32_t>(
             std::min<std::uint64_t>(draw, 2 * static_cast<std::uint64_t>(vocabulary) - 1)) /
         2;
    id = draw % 2 == 0 ? std::min<std::int32_t>(1, static_cast<std::int32_t>(vocabulary) - 1) : id;
  }
  return ids;
}

std::vector<OpCase> embedding_rows() {
  std::vector<OpCase> cases;
  const auto add = [&](const std::string& name, const Shape& ids, std::int64_t vocabulary,
                       std::int64_t width) {
    cases.push_back(
        {.name = name,
         .inputs = {{.shape = {vocabulary, width}}},
         .fn = [list = tokens(ids, vocabulary)](
                   const std::vector<Variable>& x) { return std::vector{embedding(list, x[0])}; },
         .reduction = ids.numel(),
         .check_gradient = ids.numel() < 1000});
  };
  add("size_0", {0}, 3, 4);
  add("one_token", {1}, 1, 1);
  add("prime", {2, 13}, 7, 31);
  add("wide", {5, 3}, 11, 517);
  add("many", {3, 701}, 37, 24);
  return cases;
}

CLS_OP_CASES(embedding, (embedding_rows()));

TEST(Embedding, GradientAddsOrOverwrites) {
  const Tensor ids = Tensor::from(std::vector<std::int32_t>{2, 0, 2}, {3});
  const Tensor dy = Tensor::from(std::vector<float>{1, 2, 10, 20, 100, 200}, {3, 2});
  Tensor table = Tensor::full({3, 2}, 7.0, Dtype::kF32);
  ops::embedding_backward(dy, ids, table, true);
  EXPECT_EQ(std::vector<float>(table.span<float>().begin(), table.span<float>().end()),
            (std::vector<float>{17, 27, 7, 7, 108, 209}));
  ops::embedding_backward(dy, ids, table, false);
  EXPECT_EQ(std::vector<float>(table.span<float>().begin(), table.span<float>().end()),
            (std::vector<float>{10, 20, 0, 0, 101, 202}));
}

TEST(Embedding, Bf16GradientsAddUpInF32) {
  // 512 times 1 + 2^-7 in bf16 would stop at 256 if the running sum were bf16.
  const Tensor ids = Tensor::zeros({512}, Dtype::kI32);
  const Tensor dy = Tensor::full({512, 3}, 1.0078125, Dtype::kBf16);
  Tensor table = Tensor::empty({1, 3}, Dtype::kF32);
  ops::embedding_backward(dy, ids, table, false);
  EXPECT_EQ(table.span<float>()[2], 516.0F);
}

TEST(Embedding, GradientDoesNotDependOnThreads) {
  const Tensor ids = tokens({4000}, 50);
  const Tensor dy = random_normal({4000, 70}, "dy").to(Dtype::kF32);
  Tensor one = Tensor::empty({50, 70}, Dtype::kF32);
  Tensor three = Tensor::empty({50, 70}, Dtype::kF32);
  const int threads = num_threads();
  set_num_threads(1);
  ops::embedding_backward(dy, ids, one, false);
  set_num_threads(3);
  ops::embedding_backward(dy, ids, three, false);
  set_num_threads(threads);
  expect_bits_equal(one, three, "dtable");
}

TEST(Embedding, AnIdOutsideTheVocabularyIsNamed) {
  const Tensor table = Tensor::zeros({5, 2}, Dtype::kF32);
  for (const std::int32_t bad : {5, -1}) {
    try {
      (void)ops::embedding(Tensor::from(std::vector<std::int32_t>{0, bad}, {2}), table);
      FAIL();
    } catch (const DataError& error) {
      EXPECT_NE(std::string(error.what()).find(concat("token id ", bad)), std::string::npos)
          << error.what();
      EXPECT_NE(std::string(error.what()).find("vocabulary of 5"), std::string::npos)
          << error.what();
    }
  }
}

class CudaEmbedding : public test::OnCuda<> {};

// On a device nothing can be refused without waiting for it.
TEST_F(CudaEmbedding, AnIdOutsideTheVocabularyGivesNan) {
  const Tensor ids = Tensor::from(std::vector<std::int32_t>{0, 5, 1, -1, 0}, {5}).to(kCuda);
  const Tensor table = Tensor::full({5, 2}, 3.0, Dtype::kF32, kCuda);
  const Tensor y = ops::embedding(ids, table).to(kCpu);
  Tensor dtable = Tensor::empty({5, 2}, Dtype::kF32, kCuda);
  ops::embedding_backward(Tensor::full({5, 2}, 1.0, Dtype::kF32, kCuda), ids, dtable, false);
  const Tensor sums = dtable.to(kCpu);
  for (const std::size_t row : {0U, 2U, 4U}) {
    EXPECT_EQ(y.span<float>()[2 * row], 3.0F);
  }
  EXPECT_TRUE(std::isnan(y.span<float>()[2]) && std::isnan(y.span<float>()[7]));
  EXPECT_EQ(std::vector<float>(sums.span<float>().begin(), sums.span<float>().end()),
            (std::vector<float>{2, 2, 1, 1, 0, 0, 0, 0, 0, 0}));
}

}  // namespace
}  // namespace clausius::test
