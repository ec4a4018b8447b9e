// SPDX-License-Identifier: Apache-2.0
// Runs rows of case tables.
#include "tests/support/op_case.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "autograd/tape.h"
#include "core/allocator.h"
#include "core/device_backend.h"
#include "core/random.h"
#include "tests/support/random_tensor.h"
#include "tests/support/simd_targets.h"

namespace clausius::test {

bool only_cuda_rows = false;

namespace {

Tensor make_input(const OpInput& input, std::size_t index) {
  if (input.fixed.defined()) {
    return input.fixed;
  }
  const std::string name = concat("input ", index);
  Tensor x = random_normal(input.shape, name, input.fill == Fill::kHuge ? 1000.0 : 1.0);
  if (input.fill == Fill::kUniform) {
    fill_uniform(x, RandomStream{.seed = 7, .stream = stream_of(name)}, 0.5, 1.5);
  } else if (input.fill == Fill::kConstant) {
    x.fill(1.0);
  } else if (input.fill == Fill::kOneHot) {
    x.fill(0.0);
    const std::int64_t width = x.size(-1);
    for (std::int64_t row = 0; width > 0 && row < x.numel() / width; ++row) {
      x.span<double>()[static_cast<std::size_t>(row * width + (row * 7 + 3) % width)] = 30.0;
    }
  }
  return x;
}

// A copy whose rows do not touch each other, so that strides differ from the dense ones.
Tensor strided_copy(const Tensor& x) {
  if (x.rank() < 2 || x.numel() == 0) {
    return x;
  }
  Shape padded = x.shape();
  padded[-1] += 5;
  Tensor wide = Tensor::zeros(padded, x.dtype(), x.device());
  Tensor view = wide.slice(-1, 2, 2 + x.size(-1));
  view.copy_from(x);
  return view;
}

struct Results {
  std::vector<Tensor> outputs;
  std::vector<Tensor> gradients;
};

// Cotangents come from `like` (already rounded to the working type) so that both sides see the same
// numbers.
Results run(const OpCase& op_case,
            const std::vector<Tensor>& inputs,
            const std::vector<Tensor>* cotangents) {
  Tape tape;
  std::vector<Variable> variables;
  for (const Tensor& input : inputs) {
    const bool differentiable = input.defined() && is_floating(input.dtype());
    variables.push_back(differentiable ? tape.watch(input) : Variable(input));
  }
  const std::vector<Variable> outputs = op_case.fn(variables);
  Results results;
  std::vector<Tape::Seed> seeds;
  for (std::size_t k = 0; k < outputs.size(); ++k) {
    results.outputs.push_back(outputs[k].value());
    if (outputs[k].tracked()) {
      const Tensor c = cotangents != nullptr ? (*cotangents)[k]
                                             : cotangent(outputs[k].value(), static_cast<int>(k));
      seeds.push_back({outputs[k], c.to(outputs[k].dtype()).to(outputs[k].value().device())});
    }
  }
  tape.backward(seeds);
  for (const Variable& variable : variables) {
    results.gradients.push_back(variable.tracked() ? tape.gradient(variable) : Tensor());
  }
  return results;
}

std::vector<Tensor> on(Device device, const std::vector<Tensor>& tensors) {
  std::vector<Tensor> moved;
  for (const Tensor& tensor : tensors) {
    moved.push_back(tensor.defined() ? tensor.to(device) : tensor);
  }
  return moved;
}

Results on(Device device, const Results& results) {
  return {.outputs = on(device, results.outputs), .gradients = on(device, results.gradients)};
}

Tensor widen(const Tensor& x) {
  return x.defined() && is_floating(x.dtype()) ? x.to(Dtype::kF64) : x;
}

void compare(const OpCase& op_case,
             Dtype dtype,
             const Results& got,
             const Results& want,
             const std::string& how) {
  const double limit = tolerance(dtype, op_case.reduction, op_case.roundings);
  for (std::size_t k = 0; k < want.outputs.size(); ++k) {
    expect_close(got.outputs[k], want.outputs[k], limit,
                 concat(op_case.name, " ", dtype, how, " output ", k));
  }
  for (std::size_t i = 0; i < want.gradients.size(); ++i) {
    ASSERT_EQ(got.gradients[i].defined(), want.gradients[i].defined())
        << op_case.name << " gradient " << i;
    if (want.gradients[i].defined()) {
      expect_close(got.gradients[i], want.gradients[i], limit,
                   concat(op_case.name, " ", dtype, how, " gradient ", i));
    }
  }
}

void compare_bits(const OpCase& op_case,
                  Dtype dtype,
                  const Results& again,
                  const Results& got,
                  const std::string& how) {
  for (std::size_t k = 0; k < got.outputs.size(); ++k) {
    expect_bits_equal(again.outputs[k], got.outputs[k],
                      concat(op_case.name, " ", dtype, how, " second run, output ", k));
  }
  for (std::size_t i = 0; i < got.gradients.size(); ++i) {
    if (got.gradients[i].defined()) {
      expect_bits_equal(again.gradients[i], got.gradients[i],
                        concat(op_case.name, " ", dtype, how, " second run, gradient ", i));
    }
  }
}

// The row on the CUDA device of this process, real or emulated.
void run_on_cuda(const OpCase& op_case,
                 Dtype dtype,
                 const std::vector<Tensor>& host_inputs,
                 const std::vector<Tensor>& cotangents,
                 const Results& want) {
  const std::vector<Tensor> inputs = on(kCuda, host_inputs);
  std::vector<Tensor> strided;  // made there: a copy between devices is dense
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    strided.push_back(op_case.inputs[i].fixed.defined() ? inputs[i] : strided_copy(inputs[i]));
  }
  const auto results = [&](const std::vector<Tensor>& given) {
    return on(kCpu, run(op_case, given, &cotangents));
  };
  const Results got = results(inputs);
  compare(op_case, dtype, got, want, " on cuda");
  compare(op_case, dtype, results(strided), want, " on cuda, strided");
  compare_bits(op_case, dtype, results(inputs), got, " on cuda");
}

void run_in(const OpCase& op_case, const std::vector<Tensor>& f64_inputs, Dtype dtype) {
  std::vector<Tensor> inputs;
  std::vector<Tensor> rounded;
  std::vector<Tensor> strided;
  for (std::size_t i = 0; i < f64_inputs.size(); ++i) {
    const bool fixed = op_case.inputs[i].fixed.defined();
    const Dtype type = op_case.inputs[i].keep_f32 ? Dtype::kF32 : dtype;
    inputs.push_back(fixed ? f64_inputs[i] : f64_inputs[i].to(type));
    rounded.push_back(fixed ? f64_inputs[i] : widen(inputs.back()));
    strided.push_back(fixed ? f64_inputs[i] : strided_copy(inputs.back()));
  }
  const PoisonFreshMemory poison;
  std::vector<Tensor> cotangents;
  std::vector<Variable> constants;
  for (const Tensor& input : inputs) {
    constants.emplace_back(input);
  }
  const std::vector<Variable> plain = op_case.fn(constants);
  for (std::size_t k = 0; k < plain.size(); ++k) {
    cotangents.push_back(is_floating(plain[k].dtype())
                             ? cotangent(plain[k].value(), static_cast<int>(k))
                             : Tensor());
  }
  const Results want = run(op_case, rounded, &cotangents);
  if (cuda_backend() != nullptr) {
    run_on_cuda(op_case, dtype, inputs, cotangents, want);
  }
  if (only_cuda_rows) {
    return;
  }
  const Results got = run(op_case, inputs, &cotangents);
  compare(op_case, dtype, run(op_case, strided, &cotangents), want, " strided");
  for_each_simd_target([&](std::string_view target) {
    compare(op_case, dtype, run(op_case, inputs, &cotangents), want, concat(" on ", target));
  });
  compare_bits(op_case, dtype, run(op_case, inputs, &cotangents), got, "");
}

}  // namespace

double tolerance(Dtype dtype, std::int64_t reduction, int roundings) {
  const double unit = dtype == Dtype::kF64 ? 0x1p-53 : dtype == Dtype::kF32 ? 0x1p-24 : 0x1p-8;
  const double accumulate = dtype == Dtype::kF64 ? 0x1p-53 : 0x1p-24;
  const auto length = static_cast<double>(std::max<std::int64_t>(reduction, 1));
  return unit * (4.0 * roundings) + accumulate * (16.0 + 4.0 * std::sqrt(length));
}

void run_op_case(const OpCase& op_case) {
  std::vector<Tensor> inputs;
  for (std::size_t i = 0; i < op_case.inputs.size(); ++i) {
    inputs.push_back(make_input(op_case.inputs[i], i));
  }
  if (op_case.check_gradient && !only_cuda_rows) {
    EXPECT_EQ(gradcheck(op_case.fn, inputs, op_case.gradcheck), "") << op_case.name;
  }
  for (const Dtype dtype : op_case.dtypes) {
    run_in(op_case, inputs, dtype);
  }
}

void expect_close(const Tensor& got, const Tensor& want, double limit, const std::string& what) {
  ASSERT_EQ(got.shape(), want.shape()) << what;
  const Tensor a = got.to(Dtype::kF64).contiguous();
  const Tensor b = want.to(Dtype::kF64).contiguous();
  double scale = 0;
  for (const double value : b.span<double>()) {
    scale = std::isfinite(value) ? std::max(scale, std::abs(value)) : scale;
  }
  for (std::size_t i = 0; i < b.span<double>().size(); ++i) {
    const double x = a.span<double>()[i];
    const double y = b.span<double>()[i];
    const bool same = std::isfinite(y) ? std::abs(x - y) <= limit * scale
                                       : (std::isnan(y) ? std::isnan(x) : x == y);
    if (!same) {
      ADD_FAILURE() << what << ": first bad index " << i << " of shape " << want.shape()
                    << ": expected " << y << ", got " << x << ", error " << std::abs(x - y) / scale
                    << " of the largest value, tolerance " << limit << ". Rerun: --gtest_filter='"
                    << testing::UnitTest::GetInstance()->current_test_info()->test_suite_name()
                    << "." << testing::UnitTest::GetInstance()->current_test_info()->name() << "'";
      return;
    }
  }
}

void expect_bits_equal(const Tensor& a, const Tensor& b, const std::string& what) {
  ASSERT_EQ(a.shape(), b.shape()) << what;
  ASSERT_EQ(a.dtype(), b.dtype()) << what;
  const Tensor x = a.contiguous();
  const Tensor y = b.contiguous();
  EXPECT_EQ(x.numel() == 0 ? 0 : std::memcmp(x.raw(), y.raw(), x.bytes()), 0)
      << what << ": bits differ";
}

void PrintTo(const OpCase& op_case, std::ostream* out) {
  *out << op_case.name;
}

}  // namespace clausius::test
