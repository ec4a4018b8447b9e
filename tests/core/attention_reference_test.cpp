// SPDX-License-Identifier: Apache-2.0
// The attention reference: against softmax written out with an explicit mask, and its gradients
// against central differences.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/ops/attention/attention.h"
#include "core/ops/attention/attention_dropout.h"
#include "tests/core/attention_cases.h"

namespace clausius {
namespace {

using test::AttentionCase;
using test::AttentionInputs;

class AttentionReference : public testing::TestWithParam<AttentionCase> {
  const test::OneThread one_thread_;
};

// The mask as a question about one pair, sharing nothing with the intervals.
bool sees(const AttentionCase& row, std::int64_t b, std::int64_t i, std::int64_t j) {
  const std::int64_t position = row.query_offset + i;
  const auto document = [&](std::int64_t token) {
    return std::ranges::upper_bound(row.documents, static_cast<std::int32_t>(token)) -
           row.documents.begin();
  };
  return (!row.causal || j <= position) && (!row.window || std::abs(position - j) < *row.window) &&
         (row.documents.empty() || document(b * row.T + i) == document(b * row.T + j)) &&
         (row.key_lengths.empty() || j < row.key_lengths[static_cast<std::size_t>(b)]);
}

void expect_close(double actual, double expected) {
  if (std::isinf(expected)) {
    EXPECT_EQ(actual, expected);
  } else {
    EXPECT_NEAR(actual, expected, 1e-13);
  }
}

// Row (b, h, i) written out: softmax over a list of keys, -1 for the sink.
struct ExplicitRow {
  ExplicitRow(const AttentionCase& row,
              const AttentionInputs& in,
              std::int64_t b,
              std::int64_t h,
              std::int64_t i) {
    const View<const double, 4> q(in.q), k(in.k), v(in.v);
    const double scale = row.scale_rank == 0   ? 1
                         : row.scale_rank == 1 ? View<const double, 1>(in.scale)(h)
                                               : View<const double, 2>(in.scale)(h, i);
    const std::int64_t g = row.G == 0 ? 0 : h / (row.H / row.G);
    if (row.sink) {
      add(-1, View<const double, 1>(in.sink)(h));
    }
    for (std::int64_t j = 0; j < row.S; ++j) {
      if (!sees(row, b, i, j)) {
        continue;
      }
      double s = 0;
      for (std::int64_t d = 0; d < row.D; ++d) {
        s += scale * q(b, h, i, d) * k(b, g, j, d) / std::sqrt(row.D);
      }
      max_logit = std::max(max_logit, s);
      add(j, row.softcap ? *row.softcap * std::tanh(s / *row.softcap) : s);
    }
    y.resize(static_cast<std::size_t>(row.E));
    ops::AttentionProblem words;
    words.T = row.T;
    words.S = row.S;
    RandomStream stream = in.options.dropout_stream;
    stream.sample = static_cast<std::uint32_t>(
        in.options.dropout_samples.span<std::int64_t>()[static_cast<std::size_t>(b)]);
    for (std::size_t n = 0; n < keys.size(); ++n) {
      const double p = weight[n] / sum;
      entropy -= p * std::log(p);
      const std::int64_t j = keys[n];
      if (j < 0) {
        continue;
      }
      const std::uint32_t word =
          stream.block(ops::dropout_block(words, h, i, j))[static_cast<std::size_t>(j % 4)];
      const bool dropped = word * 0x1p-32 < row.dropout;
      for (std::int64_t e = 0; e < row.E && !dropped; ++e) {
        y[static_cast<std::size_t>(e)] += p / (1 - row.dropout) * v(b, g, j, e);
      }
    }
  }

  void add(std::int64_t key, double logit) {
    keys.push_back(key);
    weight.push_back(std::exp(logit));
    sum += weight.back();
  }

  std::vector<std::int64_t> keys;
  std::vector<double> weight;
  double sum = 0;
  double entropy = 0;
  double max_logit = -std::numeric_limits<double>::infinity();
  std::vector<double> y;
};

TEST_P(AttentionReference, EqualsSoftmaxWrittenOut) {
  const AttentionCase& row = GetParam();
  const AttentionInputs in = test::make_inputs(row);
  const ops::AttentionResult result = in.forward();
  const Tensor counts =
      ops::attention_visible_counts(in.options.mask, row.B, row.T, row.S, kCpu, row.sink ? 1 : 0);
  for (std::int64_t b = 0; b < row.B; ++b) {
    for (std::int64_t h = 0; h < row.H; ++h) {
      double max_logit = -std::numeric_limits<double>::infinity();
      for (std::int64_t i = 0; i < row.T; ++i) {
        const ExplicitRow expected(row, in, b, h, i);
        max_logit = std::max(max_logit, expected.max_logit);
        EXPECT_EQ((View<const std::int32_t, 2>(counts)(b, i)), std::ssize(expected.keys));
        for (std::int64_t e = 0; e < row.E; ++e) {
          expect_close(View<const double, 4>(result.y_BTHE)(b, i, h, e),
                       expected.y[static_cast<std::size_t>(e)]);
        }
        expect_close(View<const double, 3>(result.entropy_BHT)(b, h, i), expected.entropy);
        expect_close(View<const double, 3>(result.lse_BHT)(b, h, i), std::log(expected.sum));
      }
      expect_close(View<const double, 2>(result.max_logit_BH)(b, h), max_logit);
    }
  }
}

TEST_P(AttentionReference, BoundsAscend) {
  const AttentionCase& row = GetParam();
  const ops::AttentionBounds bounds =
      ops::attention_bounds(test::make_inputs(row).options.mask, row.B, row.T, row.S);
  const View<const std::int32_t, 2> begin(bounds.begin_BT), end(bounds.end_BT);
  for (std::int64_t b = 0; b < row.B; ++b) {
    for (std::int64_t i = 0; i < row.T; ++i) {
      EXPECT_TRUE(0 <= begin(b, i) && begin(b, i) <= end(b, i) && end(b, i) <= row.S);
      EXPECT_TRUE(i == 0 || (begin(b, i - 1) <= begin(b, i) && end(b, i - 1) <= end(b, i)));
    }
  }
}

double inner(const Tensor& a, const Tensor& b) {
  const Tensor dense_a = a.contiguous();
  const Tensor dense_b = b.contiguous();
  double sum = 0;
  for (std::size_t n = 0; n < dense_a.span<double>().size(); ++n) {
    // -inf lse of a row without keys carries no gradient.
    sum += std::isinf(dense_a.span<double>()[n])
               ? 0.0
               : dense_a.span<double>()[n] * dense_b.span<double>()[n];
  }
  return sum;
}

double objective(const AttentionInputs& in) {
  const ops::AttentionResult result = in.forward();
  return inner(result.y_BTHE, in.dy) + inner(result.entropy_BHT, in.dentropy) +
         inner(result.lse_BHT, in.dlse);
}

TEST_P(AttentionReference, GradientsEqualCentralDifferences) {
  AttentionInputs in = test::make_inputs(GetParam());
  const ops::AttentionGradients gradients = in.backward(in.forward());
  constexpr double kStep = 1e-5;
  struct Pair {
    Tensor* input;
    const Tensor& gradient;
    const char* name;
  };
  for (const auto& [input, gradient, name] :
       {Pair{&in.q, gradients.dq_BHTD, "dq"}, Pair{&in.k, gradients.dk_BGSD, "dk"},
        Pair{&in.v, gradients.dv_BGSE, "dv"}, Pair{&in.scale, gradients.dscale, "dscale"},
        Pair{&in.sink, gradients.dsink, "dsink"}}) {
    if (!input->defined()) {
      EXPECT_FALSE(gradient.defined());
      continue;
    }
    ASSERT_EQ(gradient.shape(), input->shape());
    const Tensor dense = gradient.contiguous();
    for (std::size_t n = 0; n < dense.span<double>().size(); ++n) {
      double& x = input->span<double>()[n];
      const double before = x;
      x = before + kStep;
      const double above = objective(in);
      x = before - kStep;
      const double below = objective(in);
      x = before;
      // Truncation is O(step^2), rounding O(1e-16 / step): both stay far below 1e-7 on these sizes.
      ASSERT_NEAR(dense.span<double>()[n], (above - below) / (2 * kStep), 1e-7)
          << name << "[" << n << "]";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cases,
                         AttentionReference,
                         testing::ValuesIn(test::small_attention_cases()),
                         [](const auto& param) { return param.param.name; });

// ---- what is refused ----

std::string refusal(const AttentionInputs& in) {
  try {
    (void)in.forward();
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(AttentionErrors, NameTheOptionAndTheValues) {
  const auto with = [](auto change) {
    AttentionInputs in = test::make_inputs({});
    change(in);
    return refusal(in);
  };
  const auto has = [](const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text << "\nlacks: " << part;
  };
  has(with([](auto& in) { in.options.mask.block_list = Tensor::zeros({1}, Dtype::kI32); }),
      "block_list");
  has(with([](auto& in) { in.options.mask.window = 0; }), "window 0");
  has(with([](auto& in) { in.options.mask.query_offset = -1; }), "query_offset -1");
  has(with([](auto& in) {
        in.options.mask.cu_seqlens = Tensor::from<std::int32_t>({0, 10, 9}, {3});
      }),
      "0 to B T = 10");
  has(with([](auto& in) {
        in.options.mask.cu_seqlens = Tensor::from<std::int32_t>({0, 6, 10}, {3});
      }),
      "crosses the end of row 0");
  has(with([](auto& in) {
        in.options.mask.cu_seqlens = Tensor::from<std::int32_t>({0, 5, 3, 10}, {4});
      }),
      "ascend");
  has(with([](auto& in) {
        in.options.mask.key_lengths = Tensor::from<std::int32_t>({5, 6}, {2});
      }),
      "key length 6 outside [0, 5]");
  has(with([](auto& in) {
        in.options.mask.key_lengths = Tensor::from<std::int64_t>({5, 5}, {2});
      }),
      "key_lengths is i64");
  has(with([](auto& in) { in.options.logit_softcap = 0.0; }), "logit_softcap 0");
  has(with([](auto& in) { in.options.dropout = 1.0; }), "dropout 1");
  has(with([](auto& in) {
        in.options.dropout = 0.1;
        in.options.dropout_samples = {};
      }),
      "dropout_samples");
  has(with([](auto& in) { in.sink = Tensor::zeros({3}, Dtype::kF64); }),
      "sink has shape (3); expected (2)");
  has(with([](auto& in) { in.scale = Tensor::zeros({2}, Dtype::kF32); }),
      "scale is f32; expected f64");
  has(with([](auto& in) { in.k = Tensor::zeros({2, 2, 5, 3}, Dtype::kF64); }), "k has shape");
  has(with([](auto& in) {
        in.k = in.v = Tensor::zeros({2, 3, 5, 4}, Dtype::kF64);
      }),
      "3 key heads do not divide 2 query heads");
  has(with([](auto& in) {
        in.v = Tensor::zeros({2, 2, 4, 5}, Dtype::kF64).transpose(2, 3);
      }),
      "dense last dimension");
  EXPECT_EQ(
      with([](auto& in) { in.options.logit_softcap = std::numeric_limits<double>::infinity(); }),
      "accepted");
}

}  // namespace
}  // namespace clausius
