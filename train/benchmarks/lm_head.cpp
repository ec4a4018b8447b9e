// SPDX-License-Identifier: Apache-2.0
// The LM head with its loss: forward only, and with both gradients, for several sizes of its chunks; with z_loss in its pass.
#include "core/ops/lm_head_cross_entropy/lm_head_cross_entropy.h"
#include "train/benchmarks/micro.h"
#include "train/benchmarks/timing.h"

namespace clausius {
namespace {

MicroWork head(Device device,
               const BenchmarkShapes& shapes,
               bool gradients,
               std::int64_t chunk,
               double z_weight,
               Dtype dtype) {
  const Tensor x = normal_values({shapes.head_tokens, shapes.width}, dtype, device);
  const Tensor weight = normal_values({shapes.vocabulary, shapes.width}, dtype, device);
  const Tensor targets = Tensor::full({shapes.head_tokens}, 7, Dtype::kI32, device);
  const ops::LmHeadOptions options{
      .dx = gradients,
      .dweight = gradients,
      .chunk_bytes = chunk,
      .z_weight = z_weight > 0 ? Tensor::scalar(z_weight, Dtype::kF64, device) : Tensor()};
  const double products =
      2.0 * static_cast<double>(shapes.head_tokens * shapes.width * shapes.vocabulary);
  return {.run = [=] { (void)ops::lm_head_cross_entropy(x, weight, targets, {}, options); },
          .flops = (gradients ? 3.0 : 1.0) * products};
}

void add_head(BenchmarkList& list) {
  const Device device = list.device();
  const BenchmarkShapes& shapes = list.shapes();
  const std::int64_t usual = ops::lm_head_chunk_bytes(device.kind);
  for (const bool gradients : {false, true}) {
    for (const std::int64_t chunk : {usual / 2, usual, 2 * usual}) {
      list.add(concat("lm_head/", gradients ? "gradients" : "loss", "/", shapes.head_tokens, "x",
                      shapes.width, "x", shapes.vocabulary, "/chunk_mib:", chunk >> 20),
               [=](Dtype dtype) { return head(device, shapes, gradients, chunk, 0.0, dtype); });
    }
  }
  list.add(concat("lm_head/gradients_z_loss/", shapes.head_tokens, "x", shapes.width, "x",
                  shapes.vocabulary, "/chunk_mib:", usual >> 20),
           [=](Dtype dtype) { return head(device, shapes, true, usual, 1e-4, dtype); });
}

CLS_BENCHMARKS("lm_head", add_head);

}  // namespace
}  // namespace clausius
