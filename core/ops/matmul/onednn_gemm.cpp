// SPDX-License-Identifier: Apache-2.0
// oneDNN matrix products through a process-wide cache of primitives.
#include "core/ops/matmul/onednn_gemm.h"

#include <map>
#include <memory>
#include <mutex>
#include <string_view>
#include <unordered_map>

#include <oneapi/dnnl/dnnl.hpp>

#include "core/dry_run.h"
#include "core/libraries.h"
#include "core/storage.h"

namespace clausius::ops::detail {
namespace {

using Md = dnnl::memory::desc;

struct CompiledGemm {
  dnnl::matmul primitive;  // empty where oneDNN has no implementation
  Md a;
  Md b;
  Md out;
  Md bias;
  Md scratch;
};

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

Md describe(std::int64_t rows, std::int64_t columns, const MatrixLayout& layout, Dtype dtype) {
  const auto type =
      dtype == Dtype::kBf16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
  const dnnl::memory::dims strides =
      layout.transposed ? dnnl::memory::dims{1, layout.step} : dnnl::memory::dims{layout.step, 1};
  return {{rows, columns}, type, strides};
}

// oneDNN offers its batch-reduce kernels first. Its plain gemm, the next offer, is faster for vectors (up to 2.6 x: it
// streams the matrix) and for large products whose second matrix is not transposed (up to 1.4 x: f32 gradients, wide
// bf16 ones), except where it walks down columns a multiple of 4 KiB apart for the sake of few outputs.
bool prefers_plain_gemm(const GemmProblem& p) {
  if (p.m == 1 || p.n == 1) {
    return true;
  }
  if (p.b.transposed || p.m * p.n * p.k < (std::int64_t{1} << 24)) {
    return false;
  }
  if (p.in_dtype == Dtype::kF32) {
    return !(p.a.transposed && p.a.step % 1024 == 0 && p.n <= 512);
  }
  return p.a.transposed || p.k * p.n >= (std::int64_t{1} << 21);
}

bool is_kind(const dnnl::matmul::primitive_desc& offer, std::string_view kind) {
  return std::string_view(offer.impl_info_str()).starts_with(kind);
}

// The implementation to use, or none (its reference loops are slower than other ways).
dnnl::matmul::primitive_desc choose(const dnnl::matmul::desc& desc,
                                    const dnnl::primitive_attr& attributes,
                                    const GemmProblem& problem) {
  const auto first = [&] {
    return dnnl::matmul::primitive_desc(desc, attributes, engine(), /*allow_empty=*/true);
  };
  dnnl::matmul::primitive_desc offer = first();
  while (offer && prefers_plain_gemm(problem)) {
    if (is_kind(offer, "gemm")) {
      return offer;
    }
    if (!offer.next_impl()) {
      offer = first();
      break;
    }
  }
  return offer && is_kind(offer, "ref") ? dnnl::matmul::primitive_desc() : offer;
}

CompiledGemm compile(const GemmProblem& p) {
  CompiledGemm gemm;
  gemm.a = describe(p.m, p.k, p.a, p.in_dtype);
  gemm.b = describe(p.k, p.n, p.b, p.in_dtype);
  gemm.out = describe(p.m, p.n, p.out, p.out_dtype);
  gemm.bias = Md({1, p.n}, dnnl::memory::data_type::f32, dnnl::memory::format_tag::ab);
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  dnnl::post_ops after;
  if (p.scaled) {
    attributes.set_output_scales(0, {DNNL_RUNTIME_F32_VAL});
  }
  if (p.accumulate) {
    after.append_sum();
  }
  // Output scales would scale a built-in bias too.
  const bool late_bias = p.bias && p.scaled;
  if (late_bias) {
    after.append_binary(dnnl::algorithm::binary_add, gemm.bias);
  }
  attributes.set_post_ops(after);
  try {
    const auto desc = p.bias && !late_bias ? dnnl::matmul::desc(gemm.a, gemm.b, gemm.bias, gemm.out)
                                           : dnnl::matmul::desc(gemm.a, gemm.b, gemm.out);
    const dnnl::matmul::primitive_desc chosen = choose(desc, attributes, p);
    if (chosen) {
      gemm.scratch = chosen.scratchpad_desc();
      gemm.primitive = dnnl::matmul(chosen);
    }
  } catch (const dnnl::error&) {
    gemm.primitive = {};
  }
  return gemm;
}

// Emptied when full: a run has tens of shapes, and oneDNN keeps the compiled code in a cache of its
// own.
constexpr std::size_t kMostPrimitives = 512;

std::shared_ptr<const CompiledGemm> cached(const GemmProblem& problem) {
  static std::mutex mutex;
  static std::map<GemmProblem, std::shared_ptr<const CompiledGemm>> cache;
  const std::lock_guard lock(mutex);
  if (const auto found = cache.find(problem); found != cache.end()) {
    return found->second;
  }
  if (cache.size() >= kMostPrimitives) {
    cache.clear();
  }
  return cache.emplace(problem, std::make_shared<const CompiledGemm>(compile(problem)))
      .first->second;
}

dnnl::memory wrap(const Md& desc, const void* data) {
  return {desc, engine(), const_cast<void*>(data)};
}

}  // namespace

bool onednn_gemm(const GemmProblem& problem, const GemmPointers& data, float alpha) {
  const std::shared_ptr<const CompiledGemm> gemm = cached(problem);
  if (!gemm->primitive) {
    return false;
  }
  const Storage scratch(gemm->scratch.get_size(), kCpu);
  if (in_dry_run()) {
    return true;
  }
  std::unordered_map<int, dnnl::memory> arguments = {
      {DNNL_ARG_SRC, wrap(gemm->a, data.a)},
      {DNNL_ARG_WEIGHTS, wrap(gemm->b, data.b)},
      {DNNL_ARG_DST, wrap(gemm->out, data.out)},
      {DNNL_ARG_SCRATCHPAD, wrap(gemm->scratch, scratch.data())}};
  if (problem.bias) {
    // The only other post-op that can precede the bias is the sum.
    const int slot = !problem.scaled ? DNNL_ARG_BIAS
                                     : DNNL_ARG_ATTR_MULTIPLE_POST_OP(problem.accumulate ? 1 : 0) |
                                           DNNL_ARG_SRC_1;
    arguments.emplace(slot, wrap(gemm->bias, data.bias));
  }
  if (problem.scaled) {
    const Md one({1}, dnnl::memory::data_type::f32, dnnl::memory::format_tag::x);
    arguments.emplace(DNNL_ARG_ATTR_OUTPUT_SCALES, wrap(one, &alpha));
  }
  thread_local dnnl::stream stream(engine());
  gemm->primitive.execute(stream, arguments);
  stream.wait();
  return true;
}

namespace {

std::string_view name_of(dnnl_cpu_isa_t isa) {
  switch (isa) {
    case dnnl_cpu_isa_avx512_core_amx:
      return "AVX-512 with AMX";
    case dnnl_cpu_isa_avx512_core_bf16:
      return "AVX-512 with bf16";
    case dnnl_cpu_isa_avx512_core_vnni:
    case dnnl_cpu_isa_avx512_core:
      return "AVX-512";
    case dnnl_cpu_isa_avx2_vnni:
    case dnnl_cpu_isa_avx2:
      return "AVX2";
    default:
      return "below AVX2";
  }
}

std::string onednn_version() {
  const dnnl_version_t* version = dnnl_version();
  return concat(version->major, ".", version->minor, ".", version->patch, ", ",
                name_of(dnnl_get_effective_cpu_isa()));
}
CLS_LIBRARY("oneDNN", onednn_version);

}  // namespace
}  // namespace clausius::ops::detail
