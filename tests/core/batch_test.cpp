// SPDX-License-Identifier: Apache-2.0
// Documents of a batch in the form that devices read.
#include "core/batch.h"

#include <vector>

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/ops/attention/attention_mask.h"
#include "tests/support/cuda_test.h"
#include "tests/support/op_case.h"

namespace clausius {
namespace {

// Two rows of five tokens.
Batch batch_of(const std::vector<std::int32_t>& borders) {
  Batch batch{.inputs_BT = Tensor::zeros({2, 5}, Dtype::kI32)};
  if (!borders.empty()) {
    batch.cu_seqlens = Tensor::from(borders, {std::ssize(borders)});
  }
  return batch;
}

std::vector<ops::AttentionMask> masks() {
  std::vector<ops::AttentionMask> list(3);  // causal as they are
  list[1].causal = false;
  list[2].window = 2;
  return list;
}

// A mask that gets its documents as intervals sees what one with cu_seqlens sees.
void expect_same_bounds(const Batch& given, Device device) {
  Batch batch = given;
  batch.mark_documents();
  batch = batch.to(device);
  for (ops::AttentionMask borders : masks()) {
    ops::AttentionMask intervals = borders;
    borders.cu_seqlens = given.cu_seqlens;
    intervals.documents = {batch.document_begin_BT, batch.document_end_BT};
    const ops::AttentionBounds want = ops::attention_bounds(borders, 2, 5, 5);
    const ops::AttentionBounds got = ops::attention_bounds(intervals, 2, 5, 5, device);
    test::expect_bits_equal(got.begin_BT.to(kCpu), want.begin_BT, "begin");
    test::expect_bits_equal(got.end_BT.to(kCpu), want.end_BT, "end");
    for (const std::int32_t sinks : {0, 1}) {
      test::expect_bits_equal(
          ops::attention_visible_counts(intervals, 2, 5, 5, device, sinks).to(kCpu),
          ops::attention_visible_counts(borders, 2, 5, 5, kCpu, sinks), "counts");
    }
  }
}

const std::vector<std::vector<std::int32_t>>& documents() {
  static const std::vector<std::vector<std::int32_t>> all = {
      {}, {0, 5, 10}, {0, 2, 5, 6, 10}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, {0, 2, 2, 5, 10}};
  return all;
}

TEST(BatchDocuments, IntervalsSeeWhatBordersSee) {
  for (const std::vector<std::int32_t>& borders : documents()) {
    expect_same_bounds(batch_of(borders), kCpu);
  }
}

TEST(BatchDocuments, BordersThatMakeNoDocumentsAreErrors) {
  for (const std::vector<std::int32_t>& borders :
       {std::vector<std::int32_t>{0, 10}, {0, 3, 8, 10}, {0, 5, 3, 10}, {1, 5, 10}, {0, 5}}) {
    EXPECT_THROW(batch_of(borders).mark_documents(), ShapeError);
  }
}

class CudaBatchDocuments : public test::OnCuda<> {};

TEST_F(CudaBatchDocuments, IntervalsSeeWhatBordersSee) {
  for (const std::vector<std::int32_t>& borders : documents()) {
    expect_same_bounds(batch_of(borders), kCuda);
  }
  const Batch moved = batch_of({0, 2, 5, 10}).to(kCuda);
  EXPECT_EQ(moved.document_end_BT.device(), kCuda);
  EXPECT_FALSE(batch_of({}).to(kCuda).document_begin_BT.defined());
}

}  // namespace
}  // namespace clausius
