// SPDX-License-Identifier: Apache-2.0
// Power iteration on many matrices at once: their spectral norms, one reading of every weight.
#pragma once

#include <span>
#include <string>

#include "core/kernel_table.h"
#include "core/tensor.h"

namespace clausius::ops {

/// Views of the flat master buffer: [M_e, N_e] each, dense rows any distance apart.
using Matrices = std::span<const Tensor>;

/// `power_iterations` times, for every matrix: v = W u / |W u|,  u = W^T v / |W^T v|,  and then sigma = v^T W u.
/// Shapes:  weights [M_e, N_e] -> u [sum N_e], v [sum M_e], sigma [E]: the matrices' vectors one after the other. u is read and written.
/// Value:   never above the largest singular value, and rising from call to call while W stands still. All sums in f64, in an order
///          that depends on the shapes alone. A matrix with W u = 0 gets sigma = 0, one with a sum that is not finite sigma = NaN; both
///          keep their u and get v = 0: a device cannot throw, so whoever copies sigma to the host calls check_sigmas.
/// Errors:  ShapeError, DtypeError unless everything is f32 (or f64) and on one device; ConfigError for power_iterations < 1.
/// Cost:    memory-bound: one reading of the weights an iteration, since W^T (W u) needs no normalised v. With t = W u and r = W^T t,
///          sigma = |r| / |t|. On a device 3 launches an iteration for each 40 matrices.
/// Source:  Miyato et al. 2018, "Spectral Normalization for Generative Adversarial Networks", algorithm 1.
void spectral_refresh(
    Matrices weights, Tensor& u, Tensor& v, Tensor& sigma, int power_iterations = 1);

/// v = W u / |W u| and sigma = v^T W u = |W u| for the u given. Else as spectral_refresh.
void spectral_evaluate(Matrices weights, const Tensor& u, Tensor& v, Tensor& sigma);

/// Errors:  GuardError naming the first matrix whose norm is 0 or not finite. `sigma` on any device: waits for it.
void check_sigmas(const Tensor& sigma, std::span<const std::string> names);

/// power_iterations = 0 evaluates.
using SpectralRefreshKernels =
    KernelTable<void(Matrices weights, Tensor& u, Tensor& v, Tensor& sigma, int power_iterations)>;
SpectralRefreshKernels& spectral_refresh_kernels();

namespace detail {

/// Errors: ShapeError, DtypeError unless the matrices and the vectors of all of them fit together.
void check_spectral_state(
    std::string_view op, Matrices weights, const Tensor& u, const Tensor& v, const Tensor& sigma);

}  // namespace detail

}  // namespace clausius::ops
