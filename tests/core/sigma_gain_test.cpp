// SPDX-License-Identifier: Apache-2.0
// sigma_alphas and sigma_gain_gradients: a number a matrix, wherever the gains lie, on both backends.
#include "core/ops/sigma_gain/sigma_gain.h"

#include <vector>

#include <gtest/gtest.h>

#include "tests/support/cuda_test.h"
#include "tests/support/op_case.h"
#include "tests/support/random_tensor.h"

namespace clausius {
namespace {

// Every third gain is none; more matrices than one launch takes.
void expect_equals_definition(Device device, Dtype dtype, std::int64_t count) {
  const Tensor host = test::random_normal({count, 3}, "gains").to(dtype);
  const Tensor all = host.to(device);
  const Tensor sigma_host = test::random_normal({count}, "sigma").to(dtype);
  const Tensor sigma = sigma_host.to(device);
  const Tensor c_host = test::random_normal({count, 2}, "c");
  const Tensor c = c_host.to(device);
  Tensor gradients = Tensor::full({count, 3}, 7.0, dtype, device);
  std::vector<Tensor> gains;
  std::vector<Tensor> dgammas;
  for (std::int64_t e = 0; e < count; ++e) {
    gains.push_back(e % 3 == 2 ? Tensor() : all.select(0, e).slice(0, 1, 2));
    dgammas.push_back(e % 3 == 2 ? Tensor() : gradients.select(0, e).slice(0, 1, 2));
  }
  Tensor gamma = Tensor::empty({count}, dtype, device);
  Tensor alpha = Tensor::empty({count}, dtype, device);
  ops::sigma_alphas(gains, sigma, gamma, alpha);
  ops::sigma_gain_gradients(dgammas, sigma, c);
  const Tensor got = alpha.to(kCpu).to(Dtype::kF64);
  const Tensor got_gamma = gamma.to(kCpu).to(Dtype::kF64);
  const Tensor dgot = gradients.to(kCpu).to(Dtype::kF64);
  const double unit = dtype == Dtype::kF64 ? 0x1p-52 : 0x1p-24;
  for (std::int64_t e = 0; e < count; ++e) {
    const auto at = [&](const Tensor& x, std::int64_t i) {
      return x.to(Dtype::kF64).data<double>()[i];
    };
    const double wanted = e % 3 == 2 ? 1.0 : at(host, 3 * e + 1);
    const double norm = at(sigma_host, e);
    EXPECT_EQ(got_gamma.data<double>()[e], wanted);
    EXPECT_NEAR(got.data<double>()[e], wanted / norm, unit * std::abs(wanted / norm)) << e;
    const double sum = c_host.data<double>()[2 * e] + c_host.data<double>()[2 * e + 1];
    const double dwanted = e % 3 == 2 ? 7.0 : sum / norm;
    EXPECT_NEAR(dgot.data<double>()[3 * e + 1], dwanted, unit * std::abs(dwanted)) << e;
    EXPECT_EQ(dgot.data<double>()[3 * e], 7.0);
    EXPECT_EQ(dgot.data<double>()[3 * e + 2], 7.0);
  }
}

TEST(SigmaGain, EqualsItsDefinition) {
  for (const std::int64_t count : {0, 1, 7, 300}) {
    expect_equals_definition(kCpu, Dtype::kF32, count);
    expect_equals_definition(kCpu, Dtype::kF64, count);
  }
}

TEST(SigmaGain, MistakesAreNamed) {
  const std::vector<Tensor> gains = {Tensor::zeros({2}, Dtype::kF32)};
  const Tensor sigma = Tensor::full({1}, 1.0, Dtype::kF32);
  Tensor out = Tensor::empty({1}, Dtype::kF32);
  EXPECT_THROW(ops::sigma_alphas(gains, sigma, out, out), ShapeError);
  const std::vector<Tensor> wide = {Tensor::zeros({1}, Dtype::kF64)};
  EXPECT_THROW(ops::sigma_alphas(wide, sigma, out, out), DtypeError);
}

class CudaSigmaGain : public test::OnCuda<> {};

TEST_F(CudaSigmaGain, EqualsItsDefinition) {
  for (const std::int64_t count : {1, 7, 300}) {
    expect_equals_definition(kCuda, Dtype::kF32, count);
  }
}

}  // namespace
}  // namespace clausius
