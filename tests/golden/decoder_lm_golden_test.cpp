// SPDX-License-Identifier: Apache-2.0
// Two tiny language models against PyTorch: loss, every gradient, head entropies, and every weight after five updates.
#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/parallel.h"
#include "tests/golden/golden_run.h"
#include "tests/support/op_case.h"

namespace clausius::test {
namespace {

// How far apart two tensors are: root of the sum of squares, and the largest element.
struct Distance {
  double sum = 0;
  double largest = 0;
};

Distance distance(const Tensor& a, const Tensor& b) {
  Distance d;
  for (std::size_t i = 0; i < a.span<double>().size(); ++i) {
    const double difference = std::abs(a.span<double>()[i] - b.span<double>()[i]);
    d.sum += difference * difference;
    d.largest = std::max(d.largest, difference);
  }
  d.sum = std::sqrt(d.sum);
  return d;
}

Distance size_of(const Tensor& a) {
  return distance(a, Tensor::zeros(a.shape(), Dtype::kF64));
}

double unit_roundoff(Dtype dtype) {
  return dtype == Dtype::kF64 ? 0x1p-53 : dtype == Dtype::kF32 ? 0x1p-24 : 0x1p-9;
}

// Tolerances follow from the conditioning of the run, measured: how far its f64 results move when every start weight moves
// by up to one rounding error. A pass rounds not only weights but also what it stores between them, about 10 values one after
// the other; their errors are independent, so they add up like sqrt(10) = 3 of the weights', and 8 leaves room for chance.
constexpr int kProbes = 8;
constexpr double kRoundings = 8.0;

std::map<std::string, Distance> measure_spread(const Golden& golden, Dtype dtype) {
  // One f64 rounding error is too small a step to measure with: take a larger one, and scale.
  const double unit = unit_roundoff(dtype);
  const double step = std::max(unit, 0x1p-36);
  const NamedTensors center = run_golden(golden, Dtype::kF64);
  std::map<std::string, Distance> spread;
  for (std::uint64_t seed = 1; seed <= kProbes; ++seed) {
    const NamedTensors moved = run_golden(golden, Dtype::kF64, {.size = step, .seed = seed});
    for (const auto& [name, value] : center) {
      const Distance d = distance(moved.at(name), value);
      spread[name].sum = std::max(spread[name].sum, d.sum * unit / step);
      spread[name].largest = std::max(spread[name].largest, d.largest * unit / step);
    }
  }
  return spread;
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

// Softmax does not change when all scores of a row move together, so key biases have gradient zero; what is computed is the
// rounding noise of sums like those of the query biases. AdamW divides it by its own size: each update moves such a weight by
// up to noise / eps of lr, at most lr.
class KeyBiases {
 public:
  KeyBiases(const Golden& golden, Dtype dtype) : golden_(golden) {
    for (const auto& [name, value] : golden.results) {
      if (name.starts_with("gradients/") && is_one(name)) {
        const std::string query = name.substr(0, name.size() - 6) + "q.bias";
        noise_ = std::max(
            noise_, kRoundings * unit_roundoff(dtype) * size_of(golden.results.at(query)).sum);
        count_ += value.numel();
      }
    }
  }
  static bool is_one(const std::string& name) { return ends_with(name, ".k.bias"); }
  [[nodiscard]] double gradient_limit() const { return noise_; }
  // The mean of AdamW is at most 1.003 times the root of its mean square in the first five steps (Cauchy-Schwarz).
  [[nodiscard]] double one_update_limit() const {
    return 1.003 * kLr * std::min(1.0, noise_ / kEps);
  }
  [[nodiscard]] double updates_limit() const {
    return static_cast<double>(golden_.results.at("loss").numel()) * one_update_limit();
  }
  // What they add to the norm of an update: sqrt(n^2 + a^2) - n <= a^2 / (2 n).
  [[nodiscard]] double norm_limit(double norm) const {
    return static_cast<double>(count_) * one_update_limit() * one_update_limit() / (2 * norm);
  }

 private:
  static constexpr double kLr = 1e-2;
  static constexpr double kEps = 1e-8;
  const Golden& golden_;
  double noise_ = 0;
  std::int64_t count_ = 0;
};

struct GoldenCase {
  const char* model;
  Dtype dtype;
};

void PrintTo(const GoldenCase& golden_case, std::ostream* out) {
  *out << golden_case.model << " " << golden_case.dtype;
}

class DecoderLmGolden : public testing::TestWithParam<GoldenCase> {};

TEST_P(DecoderLmGolden, AgreesWithPyTorch) {
  set_num_threads(1);
  const auto [model, dtype] = GetParam();
  const Golden golden = read_golden(model);
  const NamedTensors got = run_golden(golden, dtype);
  ASSERT_EQ(got.size(), golden.results.size());
  std::map<std::string, Distance> spread = measure_spread(golden, dtype);
  const KeyBiases key_biases(golden, dtype);
  std::int64_t parameters = 0;
  for (const auto& [path, weight] : golden.start_weights) {
    parameters += weight.numel();
  }
  double worst = 0;
  for (const auto& [name, want] : golden.results) {
    ASSERT_TRUE(got.contains(name)) << name;
    ASSERT_EQ(got.at(name).shape(), want.shape()) << name;
    const Distance error = distance(got.at(name), want);
    const Distance size = size_of(want);
    // Beside the spread, the rounding of the result itself and of the longest sum behind it: over tokens, features or
    // hidden units, for norms over all parameters.
    const double rounding = tolerance(dtype, ends_with(name, "_norm") ? parameters : 64);
    double sum_limit = kRoundings * spread[name].sum + rounding * size.sum;
    double largest_limit = kRoundings * spread[name].largest + rounding * size.largest;
    if (KeyBiases::is_one(name)) {
      const bool gradient = name.starts_with("gradients/");
      largest_limit = gradient ? key_biases.gradient_limit() : key_biases.updates_limit();
      sum_limit = largest_limit * std::sqrt(static_cast<double>(want.numel()));
    } else {
      worst = std::max(worst, error.sum / size.sum);
    }
    if (name == "update_norm") {
      largest_limit += key_biases.norm_limit(size.largest);
      sum_limit += key_biases.norm_limit(size.largest) * std::sqrt(5.0);
    }
    EXPECT_LE(error.sum, sum_limit) << name << ", of size " << size.sum;
    EXPECT_LE(error.largest, largest_limit) << name << ", largest element " << size.largest;
  }
  RecordProperty("largest_relative_error", concat(worst));
}

INSTANTIATE_TEST_SUITE_P(Models,
                         DecoderLmGolden,
                         testing::Values(GoldenCase{"gpt2", Dtype::kF64},
                                         GoldenCase{"gpt2", Dtype::kF32},
                                         GoldenCase{"gpt2", Dtype::kBf16},
                                         GoldenCase{"llama", Dtype::kF64},
                                         GoldenCase{"llama", Dtype::kF32},
                                         GoldenCase{"llama", Dtype::kBf16}),
                         [](const auto& row) {
                           return concat(row.param.model, "_", row.param.dtype);
                         });

std::string answer_to(const Golden& golden) {
  try {
    static_cast<void>(run_golden(golden, Dtype::kF32));
    return "accepted";
  } catch (const DataError& error) {
    return error.what();
  }
}

TEST(DecoderLmGoldenNames, AMissingOrExtraParameterIsNoticed) {
  const Golden golden = read_golden("gpt2");
  EXPECT_EQ(answer_to(golden), "accepted");
  Golden other = golden;
  other.start_weights.erase("final_norm.bias");
  EXPECT_EQ(answer_to(other), "only the model has final_norm.bias");
  other = golden;
  other.start_weights["head.bias"] = Tensor::zeros({61}, Dtype::kF64);
  EXPECT_EQ(answer_to(other), "only the golden file has head.bias");
  other = golden;
  other.start_weights["final_norm.bias"] = Tensor::zeros({31}, Dtype::kF64);
  EXPECT_EQ(answer_to(other), "final_norm.bias is (32) in the model, (31) in the golden file");
  other = golden;
  other.aliases.clear();
  EXPECT_EQ(answer_to(other), "the aliases differ");
}

}  // namespace
}  // namespace clausius::test
