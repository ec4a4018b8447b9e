// SPDX-License-Identifier: Apache-2.0
// Benchmarks of ops, one table for every device, with what the device can do at most beside them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/device.h"
#include "core/dtype.h"
#include "core/macros.h"

namespace clausius {

/// The denominators, measured in the same run.
struct Ceilings {
  double gemm_f32 = 0;  // FLOP/s of the whole CPU or device
  double gemm_bf16 = 0;
  double copy = 0;  // bytes/s, read plus written

  [[nodiscard]] double gemm(Dtype dtype) const {
    return dtype == Dtype::kBf16 ? gemm_bf16 : gemm_f32;
  }
};

/// An op with its operands: what is timed.
struct MicroWork {
  std::function<void()> run;
  /// Arithmetic of a run where that bounds it, else 0; masked halves are not counted.
  double flops = 0;
  /// Bytes that have to be read and written, every operand once, where that bounds it, else 0.
  double bytes = 0;
};

struct MicroResult {
  double seconds = 0;  // of a run: measure_seconds
  double flops = 0;
  double bytes = 0;

  [[nodiscard]] double fraction_of(const Ceilings& ceilings, Dtype dtype) const;
};

struct MicroBenchmark {
  std::string name;  // op, variant and shape, as "layer_norm/backward/8192x768"
  Dtype dtype = Dtype::kF32;
  std::function<MicroWork()> prepare;  // allocates on the device
};

struct AttentionShape {
  std::int64_t B = 1;
  std::int64_t H = 1;
  std::int64_t T = 1;
  std::int64_t D = 1;
  bool causal = true;
  std::vector<Dtype> dtypes;
};

struct LinearShape {
  std::string_view name;  // the layer of a model
  std::int64_t tokens = 1;
  std::int64_t inputs = 1;
  std::int64_t outputs = 1;
};

/// How large the operands are. On a device those of memory-bound ops are several times its cache.
struct BenchmarkShapes {
  std::int64_t rows = 1;  // of activations
  std::int64_t width = 1;
  std::int64_t elements = 1;    // of pointwise ops
  std::int64_t parameters = 1;  // of optimizer passes
  std::int64_t head_tokens = 1;
  std::int64_t vocabulary = 1;
  std::vector<std::int64_t> squares;  // sides of square products
  std::vector<LinearShape> layers;
  std::vector<AttentionShape> attention;
};
[[nodiscard]] BenchmarkShapes benchmark_shapes(Device device);

/// What a group of benchmarks is given: where and how large, and where to put what it has.
class BenchmarkList {
 public:
  BenchmarkList(Device device, BenchmarkShapes shapes)
      : device_(device), shapes_(std::move(shapes)) {}

  [[nodiscard]] Device device() const { return device_; }
  [[nodiscard]] const BenchmarkShapes& shapes() const { return shapes_; }
  [[nodiscard]] const std::vector<MicroBenchmark>& all() const { return list_; }
  void add(std::string name, Dtype dtype, std::function<MicroWork()> prepare) {
    list_.push_back({std::move(name), dtype, std::move(prepare)});
  }
  /// Once in f32 and once in bf16.
  void add(const std::string& name, const std::function<MicroWork(Dtype)>& prepare) {
    for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
      add(name, dtype, [=] { return prepare(dtype); });
    }
  }

 private:
  Device device_;
  BenchmarkShapes shapes_;
  std::vector<MicroBenchmark> list_;
};

/// Every group of this program, by name.
[[nodiscard]] std::vector<MicroBenchmark> micro_benchmarks(Device device,
                                                           const BenchmarkShapes& shapes);

/// True for the label "name/dtype" where some term, as "attention+bf16,adamw" has two, has all its parts in it; an empty filter takes all.
[[nodiscard]] bool selects(std::string_view filter, std::string_view label);

[[nodiscard]] MicroResult measure(Device device, const MicroBenchmark& benchmark);

namespace detail {
void register_benchmarks(std::string_view group, void (*add)(BenchmarkList&));
struct BenchmarkRegistrar {
  BenchmarkRegistrar(std::string_view group, void (*add)(BenchmarkList&)) {
    register_benchmarks(group, add);
  }
};
}  // namespace detail
}  // namespace clausius

/// CLS_BENCHMARKS("softmax", add_softmax) has add_softmax(BenchmarkList&) called for every list.
#define CLS_BENCHMARKS(group, add) \
  static const ::clausius::detail::BenchmarkRegistrar CLS_CONCAT(benchmarks_, __LINE__)(group, add)
