// SPDX-License-Identifier: Apache-2.0
// Stream capture.
#include "core/cuda/recording.h"

#include <optional>
#include <utility>

#include "core/cuda/check.h"
#include "core/cuda/context.h"

namespace clausius::cuda {
namespace {

bool recording = false;

// Leaves the work that cannot be recorded.
struct Refused {
  std::string why;
};

class GraphProgram final : public DeviceProgram {
 public:
  GraphProgram(cudaGraph_t graph, CachingAllocator& memory, FreeBlocks blocks)
      : memory_(memory), blocks_(std::move(blocks)) {
    const cudaError_t result = cudaGraphInstantiate(&program_, graph, 0);
    (void)cudaGraphDestroy(graph);
    CLS_CUDA_CHECK(result);
  }
  ~GraphProgram() override {
    (void)cudaStreamSynchronize(compute_stream());
    (void)cudaGraphExecDestroy(program_);
    memory_.give_back(blocks_);
  }

  void run() override { CLS_CUDA_CHECK(cudaGraphLaunch(program_, compute_stream())); }

 private:
  CachingAllocator& memory_;
  FreeBlocks blocks_;
  cudaGraphExec_t program_ = nullptr;
};

// While one lives the compute stream and the allocator record.
class Recorder {
 public:
  explicit Recorder(CachingAllocator& memory) : memory_(memory) {
    // Relaxed: the allocator may get memory meanwhile, which is no work of the stream.
    CLS_CUDA_CHECK(cudaStreamBeginCapture(compute_stream(), cudaStreamCaptureModeRelaxed));
    memory_.begin_hold();
    recording = true;
  }
  ~Recorder() {
    if (recording) {
      cudaGraph_t graph = nullptr;
      (void)stop(graph);
      if (graph != nullptr) {
        (void)cudaGraphDestroy(graph);
      }
      memory_.give_back(blocks_);
      (void)cudaGetLastError();
    }
  }
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  std::unique_ptr<DeviceProgram> finish() {
    cudaGraph_t graph = nullptr;
    CLS_CUDA_CHECK(stop(graph));
    return std::make_unique<GraphProgram>(graph, memory_, std::move(blocks_));
  }

 private:
  cudaError_t stop(cudaGraph_t& graph) {
    recording = false;
    blocks_ = memory_.end_hold();
    return cudaStreamEndCapture(compute_stream(), &graph);
  }

  CachingAllocator& memory_;
  FreeBlocks blocks_;
};

}  // namespace

DeviceRecording record_work(CachingAllocator& memory, const std::function<void()>& work) {
  Recorder recorder(memory);
  try {
    work();
  } catch (const Refused& refused) {
    return {.refusal = refused.why};
  }
  return {.program = recorder.finish()};
}

void refuse_recording(std::string_view why) {
  if (recording) {
    throw Refused{std::string(why)};
  }
}

}  // namespace clausius::cuda
