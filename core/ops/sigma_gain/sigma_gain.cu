// SPDX-License-Identifier: Apache-2.0
// CUDA kernels of sigma_alphas and sigma_gain_gradients: a thread a matrix, their places passed by value.
#include <algorithm>

#include "core/cuda/launch.cuh"
#include "core/ops/sigma_gain/sigma_gain.h"

namespace clausius::ops {
namespace {

/// Places of one launch: 2 of the 4 KiB that arguments may take.
template <class T>
struct Places {
  static constexpr int kMost = 256;
  T* at[kMost] = {};
};

__global__ void sigma_alphas_kernel(std::int64_t count,
                                    Places<const float> gammas,
                                    const float* sigma,
                                    float* gamma,
                                    float* alpha) {
  const std::int64_t e = cuda::global_index();
  if (e < count) {
    const float value = gammas.at[e] != nullptr ? *gammas.at[e] : 1.0F;
    gamma[e] = value;
    alpha[e] = static_cast<float>(static_cast<double>(value) / static_cast<double>(sigma[e]));
  }
}

__global__ void sigma_gain_gradients_kernel(std::int64_t count,
                                            std::int64_t parts,
                                            Places<float> dgammas,
                                            const float* sigma,
                                            const double* c) {
  const std::int64_t e = cuda::global_index();
  if (e < count && dgammas.at[e] != nullptr) {
    double sum = 0.0;
    for (std::int64_t s = 0; s < parts; ++s) {
      sum += c[e * parts + s];
    }
    *dgammas.at[e] = static_cast<float>(sum / static_cast<double>(sigma[e]));
  }
}

/// fn(number of the first, how many, their places).
template <class T, class Fn>
void for_each_launch(std::span<const Tensor> scalars, const Fn& fn) {
  const std::int64_t all = std::ssize(scalars);
  for (std::int64_t first = 0; first < all; first += Places<T>::kMost) {
    const std::int64_t count = std::min<std::int64_t>(Places<T>::kMost, all - first);
    Places<T> places;
    for (std::int64_t e = 0; e < count; ++e) {
      Tensor scalar = scalars[static_cast<std::size_t>(first + e)];
      places.at[e] = scalar ? scalar.data<float>() : nullptr;
    }
    fn(first, count, places);
  }
}

void sigma_alphas_cuda(std::span<const Tensor> gammas,
                       const Tensor& sigma_E,
                       Tensor& gamma_E,
                       Tensor& alpha_E) {
  for_each_launch<const float>(gammas, [&](std::int64_t first, std::int64_t count, auto places) {
    cuda::launch(sigma_alphas_kernel, cuda::grid_over(count), count, places,
                 sigma_E.data<float>() + first, gamma_E.data<float>() + first,
                 alpha_E.data<float>() + first);
  });
}

void sigma_gain_gradients_cuda(std::span<const Tensor> dgammas,
                               const Tensor& sigma_E,
                               const Tensor& c_ES) {
  const std::int64_t parts = c_ES.size(1);
  for_each_launch<float>(dgammas, [&](std::int64_t first, std::int64_t count, auto places) {
    cuda::launch(sigma_gain_gradients_kernel, cuda::grid_over(count), count, parts, places,
                 sigma_E.data<float>() + first, c_ES.data<double>() + first * parts);
  });
}

CLS_KERNEL(sigma_alphas, kCuda, kF32, sigma_alphas_cuda);
CLS_KERNEL(sigma_gain_gradients, kCuda, kF32, sigma_gain_gradients_cuda);

}  // namespace
}  // namespace clausius::ops
