// SPDX-License-Identifier: Apache-2.0
// The golden files of tools/golden.py, and this program's answers to the same questions.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "core/batch.h"
#include "core/dtype.h"
#include "core/tensor.h"

namespace clausius::test {

/// f64 tensors by name. Results are called loss_sum, token_loss, entropy_mean, entropy_normalized, max_logit,
/// gradients/PATH, weights/PATH (after training), loss, grad_norm, update_norm (one value a step).
using NamedTensors = std::map<std::string, Tensor>;

struct Golden {
  std::string recipe;
  /// By path.
  NamedTensors start_weights;
  std::map<std::string, std::string> aliases;
  Batch batch;
  NamedTensors results;
};

/// Reads NAME_start.h5, NAME_gradients.h5 and NAME_trained.h5 of tests/golden.
[[nodiscard]] Golden read_golden(const std::string& name);

/// Start weights moved by at most `size` of their own, each by a pseudo-random part of it.
struct Perturbation {
  double size = 0.0;
  std::uint64_t seed = 0;
};

/// Builds the recipe's model, gives it the start weights, and computes every result: kF64 on the reference kernels, kF32,
/// or kBf16 (f32 masters).
/// Errors:  DataError when the model's parameters or aliases differ from the golden ones in name or shape.
[[nodiscard]] NamedTensors run_golden(const Golden& golden,
                                      Dtype dtype,
                                      const Perturbation& perturbation = {});

}  // namespace clausius::test
