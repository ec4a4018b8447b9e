// SPDX-License-Identifier: Apache-2.0
// The table's shapes, its groups, and the choice among them.
#include "train/benchmarks/micro.h"

#include <algorithm>
#include <map>

#include "train/benchmarks/timing.h"

namespace clausius {
namespace {

std::map<std::string_view, void (*)(BenchmarkList&)>& groups() {
  static std::map<std::string_view, void (*)(BenchmarkList&)> map;
  return map;
}

constexpr LinearShape of(std::string_view name,
                         std::int64_t tokens,
                         std::int64_t inputs,
                         std::int64_t outputs) {
  return {.name = name, .tokens = tokens, .inputs = inputs, .outputs = outputs};
}

// Rows that one CPU has in a step of the recipes.
BenchmarkShapes host_shapes() {
  const std::vector<Dtype> both = {Dtype::kF32, Dtype::kBf16};
  return {.rows = 16384,
          .width = 768,
          .elements = std::int64_t{16} << 20,
          .parameters = std::int64_t{32} << 20,
          .head_tokens = 1024,
          .vocabulary = 50304,
          .squares = {512, 1024, 2048},
          .layers = {of("baby_qkv", 4096, 384, 1152), of("baby_out", 4096, 384, 384),
                     of("baby_up", 4096, 384, 1536), of("baby_down", 4096, 1536, 384),
                     of("gpt2_qkv", 1024, 768, 2304), of("gpt2_out", 1024, 768, 768),
                     of("gpt2_up", 1024, 768, 3072), of("gpt2_down", 1024, 3072, 768),
                     of("decode", 1, 768, 3072), of("decode_8", 8, 768, 3072)},
          .attention = {{.B = 1, .H = 12, .T = 1024, .D = 64, .causal = true, .dtypes = both},
                        {.B = 1, .H = 12, .T = 1024, .D = 64, .causal = false, .dtypes = both},
                        {.B = 1, .H = 8, .T = 1024, .D = 128, .causal = true, .dtypes = both}}};
}

// The memory-bound operands are 200 MB and more. Attention: 16384 tokens of 2048 features, as its papers measure it.
BenchmarkShapes device_shapes() {
  BenchmarkShapes shapes{
      .rows = 131072,
      .width = 768,
      .elements = std::int64_t{128} << 20,
      .parameters = std::int64_t{128} << 20,
      .head_tokens = 16384,
      .vocabulary = 50304,
      .squares = {1024, 2048, 4096, 8192},
      .layers = {of("gpt2_qkv", 16384, 768, 2304), of("gpt2_out", 16384, 768, 768),
                 of("gpt2_up", 16384, 768, 3072), of("gpt2_down", 16384, 3072, 768),
                 of("wide_up", 8192, 4096, 14336), of("wide_down", 8192, 14336, 4096)},
      .attention = {}};
  constexpr std::int64_t kTokens = 16384;
  constexpr std::int64_t kFeatures = 2048;
  for (const std::int64_t D : {64, 128}) {
    for (std::int64_t T = 1024; T <= kTokens; T *= 2) {
      shapes.attention.push_back({.B = kTokens / T,
                                  .H = kFeatures / D,
                                  .T = T,
                                  .D = D,
                                  .causal = true,
                                  .dtypes = {Dtype::kBf16}});
    }
  }
  shapes.attention.push_back(
      {.B = 8, .H = 16, .T = 2048, .D = 128, .causal = false, .dtypes = {Dtype::kBf16}});
  shapes.attention.push_back(
      {.B = 4, .H = 12, .T = 1024, .D = 64, .causal = true, .dtypes = {Dtype::kF32}});
  return shapes;
}

// `text` up to the separator, which is taken from it with what is before.
std::string_view take_until(std::string_view& text, char separator) {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

}  // namespace

void detail::register_benchmarks(std::string_view group, void (*add)(BenchmarkList&)) {
  groups()[group] = add;
}

BenchmarkShapes benchmark_shapes(Device device) {
  return device.kind == DeviceKind::kCpu ? host_shapes() : device_shapes();
}

std::vector<MicroBenchmark> micro_benchmarks(Device device, const BenchmarkShapes& shapes) {
  BenchmarkList list(device, shapes);
  for (const auto& [group, add] : groups()) {
    add(list);
  }
  return list.all();
}

bool selects(std::string_view filter, std::string_view label) {
  if (filter.empty()) {
    return true;
  }
  while (!filter.empty()) {
    std::string_view term = take_until(filter, ',');
    bool all = !term.empty();
    while (!term.empty()) {
      all = label.find(take_until(term, '+')) != std::string_view::npos && all;
    }
    if (all) {
      return true;
    }
  }
  return false;
}

MicroResult measure(Device device, const MicroBenchmark& benchmark) {
  const MicroWork work = benchmark.prepare();
  return {.seconds = measure_seconds(device, work.run), .flops = work.flops, .bytes = work.bytes};
}

double MicroResult::fraction_of(const Ceilings& ceilings, Dtype dtype) const {
  return flops > 0 ? flops / seconds / ceilings.gemm(dtype) : bytes / seconds / ceilings.copy;
}

}  // namespace clausius
