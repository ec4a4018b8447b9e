// SPDX-License-Identifier: Apache-2.0
// Reparametrised models: gradients, identities, micro-batches, recomputation, shares, folding, weights without a norm.
#include "layers/reparam/reparam.h"

#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/linear_algebra/leading_singular.h"
#include "tests/layers/reparam/reparam_bench.h"
#include "tests/support/cuda_test.h"
#include "tests/support/op_case.h"

namespace clausius::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const char* const kAllParts = "apply_to: [q, k, v, gate, out, feed_forward, head]";

// u as good as exact: then central differences of the whole function are those with u and v held.
std::vector<std::string> converged_kinds() {
  const std::string exact = std::string(", power_iterations: 100, ") + kAllParts + "}";
  return {"{kind: sigma, gamma_init: 0.9" + exact,
          "{kind: sigma, qkv_grouping: joint" + exact,
          "{kind: sigma, gamma_init: spectral_norm, qkv_grouping: qk_v" + exact,
          "{kind: sigma, apply_to: [k, out], power_iterations: 100}",
          "{kind: spectral_norm" + exact,
          std::string("{kind: weight_norm, ") + kAllParts + "}",
          "{kind: weight_norm, apply_to: [q, v, feed_forward]}"};
}

void expect_central_differences(ReparamBench& bench, const std::string& what) {
  constexpr double kStep = 2e-6;
  bench.step();
  const Tensor gradients = bench.store().gradients().clone();
  for (Parameter& parameter : bench.store().parameters()) {
    const std::int64_t stride = std::max<std::int64_t>(1, parameter.numel() / 4);
    for (std::int64_t i = 0; i < parameter.numel(); i += stride) {
      double& value = bench.store().master().data<double>()[parameter.offset() + i];
      const double before = value;
      const auto at = [&](double x) {
        value = x;
        bench.reparam().begin_step(1);
        return bench.loss();
      };
      const double want = (at(before + kStep) - at(before - kStep)) / (2 * kStep);
      value = before;
      EXPECT_NEAR(gradients.data<double>()[parameter.offset() + i], want,
                  1e-7 * (1 + std::abs(want)))
          << what << ": " << parameter.path() << ' ' << i;
    }
  }
}

TEST(Reparam, GradientsEqualCentralDifferences) {
  for (const std::string& kind : converged_kinds()) {
    for (const bool swiglu : {true, false}) {
      ReparamBench bench(kind, {.untied = true, .swiglu = swiglu});
      bench.stir();
      expect_central_differences(bench, kind);
    }
  }
}

double dot(const Tensor& a, const Tensor& b) {
  const Tensor left = a.to(kCpu).to(Dtype::kF64).contiguous();
  const Tensor right = b.to(kCpu).to(Dtype::kF64).contiguous();
  double sum = 0;
  for (std::int64_t i = 0; i < left.numel(); ++i) {
    sum += left.data<double>()[i] * right.data<double>()[i];
  }
  return sum;
}

// Converged or not: random vectors, one iteration.
TEST(Reparam, NoGradientAlongAWeight) {
  for (const char* kind : {"{kind: sigma, vector_init: random}",
                           "{kind: sigma, vector_init: random, refresh_every: 5}",
                           "{kind: spectral_norm, vector_init: random}", "weight_norm"}) {
    ReparamBench bench(kind);
    bench.stir();
    for (const std::int64_t number : {1, 2}) {
      bench.step({6}, Recompute::kNone, number);
      for (const ReparamMatrix& matrix : bench.reparam().matrices()) {
        const Tensor gradient = matrix.gradient();
        const double length =
            std::sqrt(dot(gradient, gradient) * dot(matrix.value(), matrix.value()));
        EXPECT_GT(length, 1e-6) << matrix.path;
        EXPECT_LE(std::abs(dot(gradient, matrix.value())), 1e-12 * length) << kind << matrix.path;
      }
    }
  }
}

// A power of two is exact in every product: the loss keeps its bits, the gradient shrinks by the factor.
TEST(Reparam, ScalingAWeightChangesNothingButItsGradientsLength) {
  for (const char* kind : {"sigma", "spectral_norm", "weight_norm"}) {
    for (const Dtype master : {Dtype::kF64, Dtype::kF32}) {
      ReparamBench bench(kind, {.master = master});
      bench.stir();
      const double loss = bench.step();
      const Tensor before = bench.store().gradients().clone();
      Parameter& weight = bench.parameter("blocks.1.mixer.out.weight");
      Tensor scaled = weight.master().clone();
      for (std::int64_t i = 0; i < scaled.numel(); ++i) {
        master == Dtype::kF64 ? scaled.data<double>()[i] *= 8 : scaled.data<float>()[i] *= 8;
      }
      weight.master().copy_from(scaled);
      // A refresh more would converge further: the second begins where the first did.
      ReparamBench fresh(kind, {.master = master});
      fresh.stir();
      fresh.parameter("blocks.1.mixer.out.weight").master().copy_from(scaled);
      EXPECT_EQ(fresh.step(), loss) << kind;
      const Tensor after = fresh.store().gradients();
      for (Parameter& parameter : fresh.store().parameters()) {
        const double factor = parameter.path() == "blocks.1.mixer.out.weight" ? 8 : 1;
        for (std::int64_t i = 0; i < parameter.numel(); ++i) {
          const std::int64_t at = parameter.offset() + i;
          const bool wide = master == Dtype::kF64;
          const double now = wide ? after.data<double>()[at] : after.data<float>()[at];
          const double then = wide ? before.data<double>()[at] : before.data<float>()[at];
          ASSERT_EQ(now * factor, then) << kind << ' ' << parameter.path() << ' ' << i;
        }
      }
    }
  }
}

TEST(Reparam, MicroBatchesEqualOneBatchAndRecomputationKeepsTheBits) {
  for (const char* kind : {"{kind: sigma, vector_init: random}", "spectral_norm", "weight_norm"}) {
    ReparamBench whole(kind);
    const double loss = whole.step({6});
    const Tensor states =
        whole.store().states().empty() ? Tensor() : whole.store().states()[0].value;
    for (const std::vector<std::int64_t>& sizes :
         {std::vector<std::int64_t>{3, 3}, {1, 5}, {1, 1, 1, 1, 1, 1}}) {
      ReparamBench split(kind);
      EXPECT_NEAR(split.step(sizes), loss, 1e-13);
      expect_close(split.store().gradients(), whole.store().gradients(), 1e-12, kind);
      if (states.defined()) {
        expect_bits_equal(split.store().states()[0].value, states, "u");
      }
      ReparamBench again(kind);
      EXPECT_NEAR(again.step(sizes, Recompute::kBlock), loss, 1e-13);
      expect_close(again.store().gradients(), whole.store().gradients(), 1e-12, kind);
    }
    for (const Dtype compute : {Dtype::kF32, Dtype::kBf16}) {
      ReparamBench plain(kind, {.master = Dtype::kF32, .compute = compute});
      ReparamBench again(kind, {.master = Dtype::kF32, .compute = compute});
      EXPECT_EQ(again.step({2, 4}, Recompute::kBlock), plain.step({2, 4}));
      expect_bits_equal(again.store().gradients(), plain.store().gradients(), kind);
    }
  }
}

// The products of ranks that have a part of every gradient each, cut where no row ends.
TEST(Reparam, SharedGradientsEqualWholeOnes) {
  for (const char* kind : {"{kind: sigma, vector_init: random}", "spectral_norm", "weight_norm"}) {
    ReparamBench whole(kind);
    whole.stir();
    whole.step();
    constexpr int kRanks = 3;
    std::vector<std::unique_ptr<ReparamBench>> ranks;
    for (int rank = 0; rank < kRanks; ++rank) {
      ranks.push_back(std::make_unique<ReparamBench>(kind));
      ranks.back()->stir();
      const std::int64_t size = ranks.back()->store().size();
      const std::int64_t half = size / 2;
      const auto cut = [&](std::int64_t length, int part) {
        return part == kRanks ? length : length * part / kRanks / 16 * 16 + (part > 0 ? 3 : 0);
      };
      ranks.back()->store().set_owned(
          {{.begin = half + cut(size - half, rank), .end = half + cut(size - half, rank + 1)},
           {.begin = cut(half, rank), .end = cut(half, rank + 1)}});
      ranks.back()->reparam().begin_step(1);
      ranks.back()->passes({6});
    }
    // First what each rank has to add, from copies of the gradients; then the step.
    std::vector<Tensor> terms;
    for (const auto& rank : ranks) {
      const Tensor gradients = rank->store().gradients().clone();
      rank->reparam().finish_gradients([&](Tensor& c) { terms.push_back(c.clone()); });
      rank->store().gradients().copy_from(gradients);
    }
    for (const auto& rank : ranks) {
      rank->reparam().finish_gradients([&](Tensor& c) {
        for (std::int64_t i = 0; i < c.numel(); ++i) {
          c.data<double>()[i] = 0;
          for (const Tensor& term : terms) {
            c.data<double>()[i] += term.data<double>()[i];
          }
        }
      });
      for (const FlatRange& owned : rank->store().owned()) {
        expect_close(rank->store().gradients().slice(0, owned.begin, owned.end),
                     whole.store().gradients().slice(0, owned.begin, owned.end), 1e-12, kind);
      }
    }
  }
}

TEST(Reparam, StartsAsThePlainModelWhereItsGainsAreNorms) {
  for (const Dtype master : {Dtype::kF64, Dtype::kF32}) {
    const auto plain = make_reparam_model("none", {.master = master});
    EXPECT_EQ(plain->reparam(), nullptr);
    for (const char* kind :
         {"{kind: sigma, gamma_init: spectral_norm}",
          "{kind: sigma, gamma_init: spectral_norm, qkv_grouping: joint, vector_init: svd}",
          "weight_norm"}) {
      ReparamBench bench(kind, {.master = master});
      // u is exact to the square of its residual of 1e-6.
      const double limit = master == Dtype::kF64 ? 1e-10 : tolerance(Dtype::kF32, 16, 16);
      const Tensor tokens = Tensor::from(std::vector<std::int32_t>{1, 5, 2, 7}, {1, 4});
      expect_close(bench.model().logits(tokens), plain->logits(tokens).to(Dtype::kF64), limit,
                   kind);
    }
  }
}

// After some steps, so that u lags behind its weight.
TEST(Reparam, FoldedWeightsComputeWhatEvaluationComputes) {
  for (const char* kind :
       {"{kind: sigma, vector_init: random}", "spectral_norm",
        "{kind: sigma, qkv_grouping: qk_v, apply_to: [q, k, out, head]}", "weight_norm"}) {
    for (const Dtype master : {Dtype::kF64, Dtype::kF32}) {
      ReparamBench bench(kind, {.master = master, .untied = true});
      for (const std::int64_t number : {1, 2, 3}) {
        bench.step({6}, Recompute::kNone, number);
        bench.descend(0.5);
      }
      bench.reparam().begin_evaluation();
      const auto plain = make_reparam_model("none", {.master = master, .untied = true});
      for (Parameter& parameter : plain->parameters().parameters()) {
        parameter.master().copy_from(bench.parameter(parameter.path()).master());
      }
      for (const PlainWeight& weight : bench.reparam().fold(SigmaFold::kRunning)) {
        plain->parameters().find(weight.path)->master().copy_from(weight.value);
      }
      const Tensor tokens = Tensor::from(std::vector<std::int32_t>{1, 5, 2, 7}, {1, 4});
      expect_close(bench.model().logits(tokens), plain->logits(tokens).to(Dtype::kF64),
                   tolerance(master, 16, 16), kind);
    }
  }
}

TEST(Reparam, ExactFoldHasGammaForItsNorm) {
  ReparamBench bench("{kind: sigma, gamma_init: 0.8, vector_init: random}");
  for (const PlainWeight& weight : bench.reparam().fold(SigmaFold::kExact)) {
    if (weight.path == "blocks.0.mixer.qkv.weight") {  // q, k and v by themselves
      for (const std::int64_t row : {0, 8, 16}) {
        EXPECT_NEAR(leading_singular_svd(weight.value.slice(0, row, row + 8), "q").sigma, 0.8,
                    1e-12);
      }
    }
    if (weight.path == "blocks.1.mixer.out.weight") {
      EXPECT_NEAR(leading_singular_svd(weight.value, "out").sigma, 0.8, 1e-12);
    }
  }
}

std::set<std::string> paths_of(ReparamBench& bench) {
  std::set<std::string> paths;
  for (const StateTensor& state : bench.store().states()) {
    paths.insert(state.path);
  }
  for (const Parameter& parameter : bench.store().parameters()) {
    if (parameter.role() == Role::kGamma || parameter.path().ends_with("gain")) {
      paths.insert(parameter.path());
    }
  }
  return paths;
}

TEST(Reparam, NamesSayWhatSharesANorm) {
  ReparamBench separate("sigma");
  for (const char* path :
       {"blocks.0.mixer.qkv.q.gamma", "blocks.0.mixer.qkv.q.u", "blocks.0.mixer.qkv.k.gamma",
        "blocks.0.mixer.qkv.v.gamma", "blocks.1.mixer.out.gamma", "blocks.1.mixer.gate.gamma",
        "blocks.1.feed_forward.gate_up.gate.gamma", "blocks.1.feed_forward.gate_up.up.u",
        "blocks.1.feed_forward.down.gamma"}) {
    EXPECT_TRUE(paths_of(separate).contains(path)) << path;
  }
  EXPECT_FALSE(paths_of(separate).contains("head.gamma"));
  ReparamBench joint("{kind: sigma, qkv_grouping: joint}");
  EXPECT_TRUE(paths_of(joint).contains("blocks.0.mixer.qkv.gamma"));
  EXPECT_FALSE(paths_of(joint).contains("blocks.0.mixer.qkv.q.gamma"));
  ReparamBench two("{kind: sigma, qkv_grouping: qk_v}");
  EXPECT_TRUE(paths_of(two).contains("blocks.0.mixer.qkv.qk.gamma"));
  EXPECT_TRUE(paths_of(two).contains("blocks.0.mixer.qkv.v.u"));
  ReparamBench norms("{kind: weight_norm, apply_to: [out]}");
  EXPECT_TRUE(paths_of(norms).contains("blocks.0.mixer.out.gain"));
  EXPECT_TRUE(norms.store().states().empty());
  ReparamBench head("{kind: sigma, apply_to: [head]}", {.untied = true});
  EXPECT_TRUE(paths_of(head).contains("head.gamma"));
  EXPECT_EQ(head.reparam().readings().at(0).layer, -1);
}

TEST(Reparam, ReadingsAreGainAndNorm) {
  ReparamBench bench("{kind: sigma, gamma_init: 0.7}");
  bench.reparam().begin_step(1);
  const std::vector<ReparamReading> readings = bench.reparam().readings();
  ASSERT_EQ(readings.size(), bench.reparam().matrices().size());
  for (std::size_t e = 0; e < readings.size(); ++e) {
    const ReparamMatrix& matrix = bench.reparam().matrices()[e];
    EXPECT_EQ(readings[e].path, matrix.path);
    EXPECT_EQ(readings[e].gamma, 0.7);
    EXPECT_NEAR(readings[e].sigma, leading_singular_svd(matrix.value(), matrix.path).sigma,
                1e-11 * readings[e].sigma);
    EXPECT_TRUE(matrix.path.starts_with(concat("blocks.", readings[e].layer)));
  }
}

// The norm is that along the kept u in steps that do not refresh it.
TEST(Reparam, VectorsRestBetweenRefreshes) {
  ReparamBench bench("{kind: sigma, vector_init: random, refresh_every: 3}");
  const auto u = [&] { return bench.store().states()[0].value.clone(); };
  bench.reparam().begin_step(1);
  const Tensor first = u();
  for (const std::int64_t number : {2, 3}) {
    bench.passes({6});
    bench.reparam().finish_gradients({});
    bench.descend(0.1);
    bench.reparam().begin_step(number);
    expect_bits_equal(u(), first, "u");
    const ReparamMatrix& matrix = bench.reparam().matrices()[0];
    double squares = 0;
    for (std::int64_t row = 0; row < matrix.rows; ++row) {
      const double product = dot(matrix.value().select(0, row), first);
      squares += product * product;
    }
    EXPECT_NEAR(bench.reparam().readings()[0].sigma, std::sqrt(squares), 1e-14);
  }
  bench.reparam().begin_step(4);
  EXPECT_GT(std::abs(dot(u(), u()) - dot(u(), first)), 0.0);
}

TEST(Reparam, EvaluationRefinesAndKeepsNothing) {
  ReparamBench bench("{kind: sigma, vector_init: random}");
  bench.reparam().begin_step(1);
  const Tensor before = bench.store().states()[0].value.clone();
  const double coarse = bench.reparam().readings()[0].sigma;
  bench.reparam().begin_evaluation();
  const double finer = bench.reparam().readings()[0].sigma;
  expect_bits_equal(bench.store().states()[0].value, before, "u");
  EXPECT_GT(finer, coarse);
  bench.reparam().begin_step(2);
  EXPECT_EQ(bench.reparam().readings()[0].sigma, finer) << "the next step begins there";
}

std::string complaint(const std::function<void()>& run) {
  try {
    run();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing";
}

TEST(Reparam, WeightsWithoutANormAreNamed) {
  for (const char* kind : {"sigma", "spectral_norm", "weight_norm"}) {
    for (const double bad :
         {0.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
      ReparamBench bench(kind);
      bench.parameter("blocks.1.mixer.out.weight").master().fill(bad);
      EXPECT_THROW(bench.reparam().begin_step(1), GuardError);
      EXPECT_THAT(complaint([&] { bench.reparam().begin_evaluation(); }),
                  HasSubstr("blocks.1.mixer.out.weight"))
          << kind << ' ' << bad;
    }
  }
}

TEST(Reparam, AVectorInTheNullSpaceIsSoughtAnew) {
  ReparamBench bench("sigma");
  const ReparamMatrix& matrix = bench.reparam().matrices()[0];
  Tensor weight = matrix.value();
  weight.fill(0.0);
  weight.data<double>()[1] = 2.5;  // row 0, column 1
  Tensor& u = bench.store().states()[0].value;
  u.fill(0.0);
  u.data<double>()[0] = 1.0;
  bench.reparam().begin_step(1);
  EXPECT_NEAR(bench.reparam().readings()[0].sigma, 2.5, 1e-14);
  EXPECT_NEAR(std::abs(u.data<double>()[1]), 1.0, 1e-14);
}

TEST(Reparam, MistakesAreNamed) {
  EXPECT_THAT(complaint([] { ReparamBench bench("{kind: sigma, apply_to: [head]}"); }),
              HasSubstr("no part 'head'"));
  ReparamBench bench("sigma");
  bench.parameter("blocks.0.mixer.out.weight").set_frozen(true);
  EXPECT_THAT(complaint([&] { bench.step(); }),
              HasSubstr("blocks.0.mixer.out.weight is frozen and blocks.0.mixer.out.gamma is not"));
  bench.parameter("blocks.0.mixer.out.gamma").set_frozen(true);
  bench.step();
  EXPECT_EQ(dot(bench.parameter("blocks.0.mixer.out.gamma").gradient(),
                bench.parameter("blocks.0.mixer.out.gamma").gradient()),
            0.0);
}

// Frozen by the rows: decay where the weight's length means something.
TEST(Reparam, RowsOfReparametrisedMatricesDoNotDecay) {
  ReparamBench bench("{kind: sigma, apply_to: [q, v]}");
  const std::vector<FlatRange>& rows = bench.parameter("blocks.0.mixer.qkv.weight").undecayed();
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].begin, 0);
  EXPECT_EQ(rows[0].end, 64);
  EXPECT_EQ(rows[1].begin, 128);
  EXPECT_EQ(rows[1].end, 192);
  EXPECT_TRUE(bench.parameter("blocks.0.mixer.out.weight").undecayed().empty());
}

// bf16 products of the same f32 master: norms and gains do not see the rounding.
TEST(Reparam, NormsAreThoseOfTheMaster) {
  ReparamBench wide("sigma", {.master = Dtype::kF32});
  ReparamBench narrow("sigma", {.master = Dtype::kF32, .compute = Dtype::kBf16});
  const double loss = wide.step();
  EXPECT_NEAR(narrow.step(), loss, 0x1p-7 * loss);
  for (std::size_t e = 0; e < wide.reparam().matrices().size(); ++e) {
    EXPECT_EQ(narrow.reparam().readings()[e].sigma, wide.reparam().readings()[e].sigma);
  }
}

class CudaReparam : public OnCuda<> {};

TEST_F(CudaReparam, StepsEqualTheCpu) {
  for (const char* kind : {"{kind: sigma, qkv_grouping: qk_v, apply_to: [q, k, v, out, head]}",
                           "sigma", "spectral_norm", "{kind: weight_norm, apply_to: [q, out]}"}) {
    for (const Dtype compute : {Dtype::kF32, Dtype::kBf16}) {
      ReparamBench host(kind, {.master = Dtype::kF32, .compute = compute, .untied = true});
      ReparamBench device(
          kind, {.master = Dtype::kF32, .compute = compute, .device = kCuda, .untied = true});
      const double limit = tolerance(compute, 16, 12);
      EXPECT_NEAR(device.step({2, 4}), host.step({2, 4}), limit * 3) << kind;
      for (Parameter& parameter : host.store().parameters()) {
        expect_close(device.parameter(parameter.path()).gradient().to(kCpu),
                     parameter.gradient().to(Dtype::kF64), 4 * limit,
                     concat(kind, ' ', compute, ' ', parameter.path()));
      }
      for (std::size_t i = 0; i < host.store().states().size(); ++i) {
        expect_close(device.store().states()[i].value.to(kCpu),
                     host.store().states()[i].value.to(Dtype::kF64), tolerance(Dtype::kF32, 1, 4),
                     host.store().states()[i].path);
      }
    }
  }
}

}  // namespace
}  // namespace clausius::test
