// SPDX-License-Identifier: Apache-2.0
// Gradients against central differences, in f64.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "autograd/variable.h"

namespace clausius {

using DifferentiableFn = std::function<std::vector<Variable>(const std::vector<Variable>&)>;

struct GradcheckOptions {
  double step = 1e-5;
  /// Largest |analytic - numeric| / (1 + largest |analytic| of the input) that passes: the step's
  /// truncation and rounding error.
  double tolerance = 1e-6;
  /// Elements tried per input (spread evenly); every element of small ones.
  std::int64_t most_elements = 48;
};

/// Compares the tape's gradient of sum_k <outputs[k], c_k> (c_k fixed pseudo-random) with central
/// differences for every f64 input. Returns an empty text when they agree, else one line: input,
/// element, analytic, numeric.
[[nodiscard]] std::string gradcheck(const DifferentiableFn& fn,
                                    const std::vector<Tensor>& inputs,
                                    const GradcheckOptions& options = {});

/// The fixed weights c_k of output `k`: standard normal, in `dtype`.
[[nodiscard]] Tensor cotangent(const Tensor& output, int k);

}  // namespace clausius
