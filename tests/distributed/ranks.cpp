// SPDX-License-Identifier: Apache-2.0
// What each rank runs in the tests of this folder: `ranks MODE [argument ...]`, started by mpirun.
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>
#include <mpi.h>

#include "core/comm/communicator.h"
#include "core/device_backend.h"
#include "core/error.h"
#include "core/io/hash.h"
#include "optim/optimizer.h"
#include "tests/core/comm/collective_checks.h"
#include "tests/support/toy_parameters.h"
#include "tests/train/tiny_model.h"
#include "train/buckets.h"
#include "train/signals.h"
#include "train/train_step.h"
#include "train/training_state.h"

namespace clausius {
namespace {

using test::CollectiveCase;

void sleep_seconds(int seconds) {
  std::this_thread::sleep_for(std::chrono::seconds(seconds));
}

Tensor ones() {
  return Tensor::full({100000}, 1.0, Dtype::kF32);
}

std::unique_ptr<Communicator> communicator_on(Device device, const CommunicatorOptions& options) {
  return connect_device(make_communicator(options), device, options);
}

// MPI is the test's here, so that one process can use communicators of many options.
int check_collectives(Device device) {
  int level = 0;
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &level);
  std::vector<CollectiveCase> cases{
      {.n = 0},
      {.n = 1},
      {.n = 1000},
      {.n = 50003},
      {.n = 50003, .segment_bytes = 1 << 12, .order = ReductionOrder::kTree},
      {.n = 701, .segment_bytes = 64, .overlap = Overlap::kThread},
      {.n = 1 << 16, .order = ReductionOrder::kTree, .overlap = Overlap::kThread},
  };
  if (device == kCpu) {  // on GPUs the order is NCCL's
    cases.push_back({.n = 50003, .order = ReductionOrder::kAny});
  }
  for (CollectiveCase& c : cases) {
    c.device = device;
    {
      const auto communicator = communicator_on(device, test::options_of(c));
      EXPECT_EQ(communicator->overlap(), c.overlap);
      test::check_all_reduce(*communicator, c);
      test::check_scatter_and_gather(*communicator, c);
      test::check_broadcast(*communicator, c);
    }
    const auto communicator = communicator_on(device, test::options_of(c, Dtype::kBf16));
    test::check_bf16_wire(*communicator, c);
  }
  MPI_Finalize();
  return ::testing::Test::HasFailure() ? 1 : 0;
}

// What NCCL adds by itself: any order, the same bits on every rank and in every run.
int check_any_order() {
  const auto communicator = communicator_on(kCuda, {.order = ReductionOrder::kAny});
  const auto sum = [&] {
    Tensor values = test::contribution(communicator->rank(), 50003).to(kCuda);
    communicator->all_reduce_async(values, "any").wait();
    return values.to(kCpu);
  };
  const Tensor first = sum();
  EXPECT_TRUE(test::same_bits(first, sum()));
  std::vector<Tensor> terms;
  for (int rank = 0; rank < communicator->size(); ++rank) {
    terms.push_back(test::contribution(rank, 50003));
  }
  Tensor ordered = terms[static_cast<std::size_t>(communicator->rank())].clone();
  communicator->all_reduce(ordered, ReduceOp::kSum, "rank order");
  // Any order of n - 1 additions, in both sums: each rounds once, relative to the sum of the magnitudes.
  const int ranks = communicator->size();
  for (std::int64_t i = 0; i < ordered.numel(); ++i) {
    double magnitudes = 0;
    for (int rank = 0; rank < ranks; ++rank) {
      magnitudes +=
          std::abs(static_cast<double>(terms[static_cast<std::size_t>(rank)].data<float>()[i]));
    }
    EXPECT_NEAR(first.data<float>()[i], ordered.data<float>()[i],
                2 * (ranks - 1) * 0x1p-24 * magnitudes)
        << i;
  }
  const std::string hash = xxh3_128(std::span(first.raw(), first.bytes())).hex();
  EXPECT_EQ(communicator->broadcast_text(hash), hash);
  return ::testing::Test::HasFailure() ? 1 : 0;
}

struct Trained {
  std::vector<double> losses;
  std::vector<double> update_norms;
  Tensor master;
  Tensor copy{};      // bf16
  Tensor moments;     // rank 0
  HeadTable clips{};  // of qk_clip
  std::vector<Tensor> states{};
};

struct Training {
  bool shared = false;  // ZeRO-1
  std::optional<double> clip{};
  std::string mixer = "{kind: softmax}";
  Dtype compute = Dtype::kF32;
  std::string reparam = "none";
};

// Six steps of the tiny model on the same rows, three a rank.
Trained train(Communicator& communicator, Device device, const Training& how) {
  const bool shared = how.shared;
  const int shares = shared ? communicator.size() : 1;
  const auto model = test::make_tiny_model(Dtype::kF32, device, shares, {}, how.mixer, how.compute,
                                           test::choice_of<Reparam>(how.reparam));
  ParameterStore& parameters = model->parameters();
  const std::vector<FlatRange> buckets = make_buckets(parameters, 1024, shares);
  if (shared) {
    parameters.set_owned(shares_of(buckets, communicator.rank(), shares));
  }
  const auto optimizer = test::choice_of<Optimizer>("{kind: adamw, lr: 0.01}").make(parameters);
  GradientReducer reducer(parameters, communicator, buckets, shared);
  TrainStep step(*model, *optimizer, reducer, communicator, {.clip_norm = how.clip});
  EntropyTotals entropy(model->heads_per_layer(), device);
  Trained trained;
  for (int number = 1; number <= 6; ++number) {
    LoadedStep data;
    const std::int64_t first = std::int64_t{communicator.rank()} * 3;
    for (const std::int64_t rows : {2, 1}) {
      data.micro_batches.push_back(test::tiny_batch(first + (rows == 1 ? 2 : 0), rows));
      data.weight += data.micro_batches.back().weight;
    }
    entropy.reset();
    const StepOutcome outcome = step.run(data, number, 0.01, entropy);
    trained.losses.push_back(outcome.loss);
    trained.update_norms.push_back(outcome.update_norm);
  }
  trained.master = parameters.master().to(kCpu);
  for (const StateTensor& state : parameters.states()) {
    trained.states.push_back(state.value.to(kCpu).contiguous());
  }
  trained.copy =
      parameters.compute_copy().defined() ? parameters.compute_copy().to(kCpu) : Tensor();
  trained.clips = step.qk_clip().clips();
  const auto states = whole_state(*optimizer, parameters, communicator, reducer);
  trained.moments = states.empty() ? Tensor() : states[1].values.to(kCpu);
  return trained;
}

// ZeRO-1 is a layout, not a method: without clipping not a bit differs.
int check_zero(Device device) {
  const auto communicator = communicator_on(device, {});
  const Trained whole = train(*communicator, device, {});
  const Trained shares = train(*communicator, device, {.shared = true});
  EXPECT_EQ(whole.losses, shares.losses);
  EXPECT_LT(whole.losses.back(), whole.losses.front());
  const auto same_start = [](const Tensor& a, const Tensor& b) {  // one has longer padding
    const std::int64_t n = std::min(a.numel(), b.numel());
    return test::same_bits(a.slice(0, 0, n), b.slice(0, 0, n));
  };
  EXPECT_TRUE(same_start(whole.master, shares.master));
  if (communicator->rank() == 0) {
    EXPECT_TRUE(same_start(whole.moments, shares.moments));
  }
  const Trained clipped = train(*communicator, device, {.clip = 0.1});
  const Trained clipped_shares = train(*communicator, device, {.shared = true, .clip = 0.1});
  // The norm's shares are added in another order: the clip factor may differ by an f32 rounding a step, of which the losses and updates
  // that follow are as good as linear functions.
  for (std::size_t i = 0; i < clipped.losses.size(); ++i) {
    const double limit = static_cast<double>(i + 1) * 0x1p-23;
    EXPECT_NEAR(clipped.losses[i], clipped_shares.losses[i], limit * clipped.losses[i]);
    EXPECT_NEAR(clipped.update_norms[i], clipped_shares.update_norms[i],
                limit * clipped.update_norms[i]);
  }
  return ::testing::Test::HasFailure() ? 1 : 0;
}

// Ranks agree on every bit of weights and vectors; sharing the gradients changes the order in which products are added and nothing else.
int check_reparam(Device device) {
  const auto communicator = communicator_on(device, {});
  for (const char* kind : {"{kind: sigma, vector_init: random}", "weight_norm"}) {
    const Trained whole = train(*communicator, device, {.clip = 0.5, .reparam = kind});
    const Trained shares =
        train(*communicator, device, {.shared = true, .clip = 0.5, .reparam = kind});
    EXPECT_LT(whole.losses.back(), whole.losses.front());
    for (const Trained* trained : {&whole, &shares}) {
      std::vector<Tensor> all = trained->states;
      all.push_back(trained->master);
      for (const Tensor& value : all) {
        const std::string hash = xxh3_128(std::span(value.raw(), value.bytes())).hex();
        EXPECT_EQ(communicator->broadcast_text(hash), hash) << kind;
      }
    }
    // An f32 rounding of a gradient or a norm moves an AdamW step by as much of itself, and what follows with it.
    for (std::size_t i = 0; i < whole.losses.size(); ++i) {
      const double limit = static_cast<double>(i + 1) * 0x1p-18;
      EXPECT_NEAR(whole.losses[i], shares.losses[i], limit * whole.losses[i]) << kind;
      EXPECT_NEAR(whole.update_norms[i], shares.update_norms[i], limit * whole.update_norms[i]);
    }
  }
  return ::testing::Test::HasFailure() ? 1 : 0;
}

// Clipped by the largest logits of all ranks: the same bits on every rank, with and without ZeRO-1, and in the bf16 copies.
int check_qk_clip(Device device) {
  const auto communicator = communicator_on(device, {});
  for (const Dtype compute : {Dtype::kF32, Dtype::kBf16}) {
    const Training clipped{.mixer = "{kind: softmax, bias: [q, k], qk_clip: {threshold: 1.0e-4}}",
                           .compute = compute};
    Training plain = clipped;
    plain.mixer = "{kind: softmax, bias: [q, k]}";
    Training shared = clipped;
    shared.shared = true;
    const Trained whole = train(*communicator, device, clipped);
    const Trained shares = train(*communicator, device, shared);
    const std::int64_t n = std::min(whole.master.numel(), shares.master.numel());
    EXPECT_TRUE(test::same_bits(whole.master.slice(0, 0, n), shares.master.slice(0, 0, n)));
    EXPECT_EQ(whole.clips, shares.clips);
    EXPECT_EQ(whole.losses, shares.losses);
    EXPECT_GE(whole.clips.at(1).at(1), 3.0);
    EXPECT_FALSE(test::same_bits(train(*communicator, device, plain).master, whole.master));
    if (compute == Dtype::kBf16) {
      // Biases, gains and padding have no copy that anybody reads; weights' copies are rounded masters.
      EXPECT_TRUE(test::same_bits(whole.copy.slice(0, 0, n), shares.copy.slice(0, 0, n)));
    }
    const std::string hash = xxh3_128(std::span(whole.master.raw(), whole.master.bytes())).hex();
    EXPECT_EQ(communicator->broadcast_text(hash), hash);
  }
  return ::testing::Test::HasFailure() ? 1 : 0;
}

// The bits of a sum, for comparison between transports and runs.
int print_bits() {
  const auto communicator = make_communicator();
  Tensor values = test::contribution(communicator->rank(), 300007);
  communicator->all_reduce_async(values, "bits").wait();
  const std::string hash = xxh3_128(std::span(values.raw(), values.bytes())).hex();
  if (communicator->rank() == 0) {
    std::cout << "bits " << hash << '\n';
  }
  EXPECT_EQ(communicator->broadcast_text(hash), hash);
  return ::testing::Test::HasFailure() ? 1 : 0;
}

int print_layout() {
  const auto communicator = make_communicator();
  for (int rank = 0; rank < communicator->size(); ++rank) {
    communicator->barrier();
    if (rank == communicator->rank()) {
      std::cout << concat("rank ", rank, " of ", communicator->size(), ", local ",
                          communicator->local_rank(), " of ", communicator->local_size(),
                          ", cores ", communicator->cores_per_rank(), ", ",
                          communicator->description(), '\n')
                << std::flush;
    }
  }
  return 0;
}

// Rank 1 meets an error while the others are in a collective.
int fail_on_one_rank() {
  const auto communicator = make_communicator({.overlap = Overlap::kThread});
  Tensor values = ones();
  communicator->all_reduce(values);
  if (communicator->rank() == 1) {
    throw DataError("shard 7 is damaged");
  }
  communicator->all_reduce(values);
  sleep_seconds(1000);
  return 0;
}

int leave_on_one_rank() {
  const auto communicator = make_communicator();
  communicator->barrier();
  if (communicator->rank() == 1) {
    ::_exit(7);
  }
  communicator->barrier();
  return 0;
}

int kill_one_rank() {
  const auto communicator = make_communicator();
  communicator->barrier();
  if (communicator->rank() == 1) {
    ::raise(SIGKILL);
  }
  communicator->barrier();
  return 0;
}

// Rank 1 stays away for longer than the timeout.
int stay_away() {
  const auto communicator = make_communicator({.timeout_s = 2});
  communicator->barrier();
  if (communicator->rank() == 1) {
    sleep_seconds(1000);
  }
  Tensor values = ones();
  communicator->all_reduce_async(values, "bucket 4").wait();
  return 0;
}

int gpu_stay_away() {
  const auto communicator = communicator_on(kCuda, {.timeout_s = 2});
  if (communicator->rank() == 1) {
    sleep_seconds(1000);
  }
  Tensor values = ones().to(kCuda);
  communicator->all_reduce_async(values, "bucket 4").wait();
  require_backend(kCuda).synchronize(0);
  return 0;
}

// A collective that its stream never finishes, while the host has gone on.
int gpu_hang() {
  const auto communicator = communicator_on(kCuda, {.timeout_s = 2});
  Tensor values = ones().to(kCuda);
  communicator->all_reduce_async(values, "bucket 4").wait();
  sleep_seconds(1000);
  return 0;
}

// Ranks disagree on a size, which MPI notices on one side: a larger message than the receiver wants.
int mismatch() {
  const auto communicator = make_communicator({.timeout_s = 20});
  Tensor values = Tensor::full({communicator->rank() == 0 ? 200000 : 100000}, 1.0, Dtype::kF32);
  communicator->all_reduce(values, ReduceOp::kSum, "mismatch");
  return 0;
}

int diverge() {
  const auto communicator = make_communicator();
  check_in_sync(*communicator, 1, "step 100");
  check_in_sync(*communicator, communicator->rank() == 1 ? 2 : 1, "step 200");
  return 0;
}

// Steps until a signal is agreed on.
int step_until_stopped() {
  const auto communicator = make_communicator();
  const StopSignals signals(detect_launcher().kind);
  for (int step = 1; step < 2000; ++step) {
    if (step == 3 && communicator->rank() == 0) {
      std::cout << "stepping\n" << std::flush;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    const StopRequest request = signals.agree(*communicator);
    if (request == StopRequest::kStop) {
      std::cout << concat("stopped after step ", step, '\n') << std::flush;
      return static_cast<int>(ExitCode::kStoppedBySignal);
    }
    if (request == StopRequest::kUrgent) {
      std::cout << "seconds left\n" << std::flush;
      return 0;
    }
  }
  return 1;
}

int single() {
  const auto communicator = make_communicator();
  int initialized = 0;
  MPI_Initialized(&initialized);
  std::cout << concat(communicator->description(), ", MPI ",
                      initialized != 0 ? "initialized" : "untouched", '\n');
  return communicator->size() == 1 ? 0 : 1;
}

int run(const std::string& mode) {
  static const std::map<std::string, std::function<int()>> kModes{
      {"collectives", [] { return check_collectives(kCpu); }},
      {"gpu_collectives", [] { return check_collectives(kCuda); }},
      {"gpu_any_order", check_any_order},
      {"zero", [] { return check_zero(kCpu); }},
      {"reparam", [] { return check_reparam(kCpu); }},
      {"gpu_reparam", [] { return check_reparam(kCuda); }},
      {"gpu_zero", [] { return check_zero(kCuda); }},
      {"qk_clip", [] { return check_qk_clip(kCpu); }},
      {"gpu_qk_clip", [] { return check_qk_clip(kCuda); }},
      {"gpu_stay_away", gpu_stay_away},
      {"gpu_hang", gpu_hang},
      {"bits", print_bits},
      {"layout", print_layout},
      {"fail", fail_on_one_rank},
      {"leave", leave_on_one_rank},
      {"kill", kill_one_rank},
      {"stay_away", stay_away},
      {"mismatch", mismatch},
      {"diverge", diverge},
      {"single", single},
      {"steps", step_until_stopped}};
  return kModes.at(mode)();
}

}  // namespace
}  // namespace clausius

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  try {
    return clausius::run(argc > 1 ? argv[1] : "");
  } catch (const clausius::Error& error) {
    clausius::abort_all(error.exit_code(), error.what());
  }
}
