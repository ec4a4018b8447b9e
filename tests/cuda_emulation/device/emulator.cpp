// SPDX-License-Identifier: Apache-2.0
// The scheduler of the emulator.
#include "tests/cuda_emulation/device/emulator.h"

#include <array>
#include <boost/context/fiber.hpp>
#include <boost/context/pooled_fixedsize_stack.hpp>
#include <cuda_runtime.h>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace clausius::emulation {
namespace {

namespace context = boost::context;

constexpr int kWarp = 32;
#if defined(__SANITIZE_ADDRESS__)
constexpr std::size_t kStackBytes = std::size_t{256}
                                    << 10;  // red zones around every local variable
#else
constexpr std::size_t kStackBytes = std::size_t{64} << 10;
#endif

// Tells the address sanitizer which stack runs.
class StackSwitch {
 public:
  explicit StackSwitch([[maybe_unused]] bool last = false) : last_(last) {}
  void leave([[maybe_unused]] const void* to, [[maybe_unused]] std::size_t size) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(last_ ? nullptr : &fake_, to, size);
#endif
  }
  void back([[maybe_unused]] const void** from, [[maybe_unused]] std::size_t* size) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(fake_, from, size);
#endif
  }

 private:
  [[maybe_unused]] void* fake_ = nullptr;
  [[maybe_unused]] bool last_;
};

enum class Waits { kNot, kAtBarrier, kInWarp };

struct Fiber {
  Thread self;
  context::fiber resume;
  const void* stack = nullptr;
  std::size_t stack_bytes = 0;
  Waits waits = Waits::kNot;
  const char* file = "";
  int line = 0;
  unsigned mask = 0;
  bool started = false;
  int exchanges = 0;  // parity chooses the buffer: no lane is more than one exchange ahead
  bool done = false;
};

struct Warp {
  std::array<std::array<std::array<std::byte, 8>, kWarp>, 2> values{};
};

class Block {
 public:
  Block(const Index& block, const Index& size, const Index& grid, std::size_t shared_bytes)
      : fibers_(std::size_t{size.x} * size.y * size.z),
        warps_((fibers_.size() + kWarp - 1) / kWarp),
        shared_(shared_bytes > 0 ? new std::byte[shared_bytes] : nullptr) {
    if (shared_bytes > 0) {
      std::memset(shared_.get(), 0xFF, shared_bytes);
    }
    for (std::size_t i = 0; i < fibers_.size(); ++i) {
      const auto at = static_cast<unsigned>(i);
      fibers_[i].self = {.thread = {at % size.x, at / size.x % size.y, at / size.x / size.y},
                         .block = block,
                         .block_size = size,
                         .grid_size = grid};
    }
  }

  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  ~Block() {
    for (Fiber& fiber : fibers_) {
      if (!fiber.done) {
        give_up(fiber);
      }
    }
  }

  void run(const std::function<void()>& kernel);

  [[nodiscard]] Fiber& running() { return *running_; }
  [[nodiscard]] int lane() const { return static_cast<int>(running_ - fibers_.data()) % kWarp; }
  [[nodiscard]] Warp& warp() {
    return warps_[static_cast<std::size_t>(running_ - fibers_.data()) / kWarp];
  }
  [[nodiscard]] void* shared() const { return shared_.get(); }

  // Called on a fiber: waits until the scheduler lets it go on.
  void wait(Waits what, const char* file, int line, unsigned mask) {
    Fiber& fiber = *running_;
    fiber.waits = what;
    fiber.file = file;
    fiber.line = line;
    fiber.mask = mask;
    StackSwitch stacks;
    stacks.leave(host_stack_, host_stack_bytes_);
    try {
      host_ = std::move(host_).resume();
    } catch (...) {  // the block is given up
      stacks.back(&host_stack_, &host_stack_bytes_);
      throw;
    }
    stacks.back(&host_stack_, &host_stack_bytes_);
  }

 private:
  void start(Fiber& fiber, const std::function<void()>& kernel);
  void go_on(Fiber& fiber);
  void give_up(Fiber& fiber);
  bool release_warps();
  bool release_block();
  [[noreturn]] void stuck() const;

  std::vector<Fiber> fibers_;
  std::vector<Warp> warps_;
  std::unique_ptr<std::byte[]> shared_;
  Fiber* running_ = nullptr;
  context::fiber host_;
  const void* host_stack_ = nullptr;
  std::size_t host_stack_bytes_ = 0;
  std::exception_ptr failed_;
};

Block* block_now = nullptr;

context::pooled_fixedsize_stack& stacks() {
  static context::pooled_fixedsize_stack pool(kStackBytes);
  return pool;
}

void Block::start(Fiber& fiber, const std::function<void()>& kernel) {
  const context::stack_context stack = stacks().allocate();
  fiber.stack = static_cast<char*>(stack.sp) - stack.size;
  fiber.stack_bytes = stack.size;
#if defined(__SANITIZE_ADDRESS__)
  ASAN_UNPOISON_MEMORY_REGION(fiber.stack, fiber.stack_bytes);  // of the fiber that had it before
#endif
  fiber.resume =
      context::fiber(std::allocator_arg, context::preallocated(stack.sp, stack.size, stack),
                     stacks(), [this, &fiber, &kernel](context::fiber&& host) {
                       StackSwitch(false).back(&host_stack_, &host_stack_bytes_);
                       host_ = std::move(host);
                       try {
                         kernel();
                       } catch (const context::detail::forced_unwind&) {
                         StackSwitch(true).leave(host_stack_, host_stack_bytes_);
                         throw;  // the block is given up
                       } catch (...) {
                         failed_ = std::current_exception();
                       }
                       fiber.done = true;
                       StackSwitch(true).leave(host_stack_, host_stack_bytes_);
                       return std::move(host_);
                     });
}

void Block::go_on(Fiber& fiber) {
  running_ = &fiber;
  fiber.waits = Waits::kNot;
  fiber.started = true;
  StackSwitch switching;
  switching.leave(fiber.stack, fiber.stack_bytes);
  fiber.resume = std::move(fiber.resume).resume();
  switching.back(nullptr, nullptr);
  if (failed_) {
    std::rethrow_exception(failed_);
  }
}

// Unwinds the stack of a fiber that will not end by itself.
void Block::give_up(Fiber& fiber) {
  if (!fiber.started) {
    return;
  }
  running_ = &fiber;
  StackSwitch switching;
  switching.leave(fiber.stack, fiber.stack_bytes);
  fiber.resume = context::fiber();
  switching.back(nullptr, nullptr);
}

// Lets the lanes of every complete warp operation go on.
bool Block::release_warps() {
  bool any = false;
  for (std::size_t first = 0; first < fibers_.size(); first += kWarp) {
    const std::size_t lanes = std::min<std::size_t>(kWarp, fibers_.size() - first);
    for (std::size_t i = 0; i < lanes; ++i) {
      const Fiber& leader = fibers_[first + i];
      if (leader.done || leader.waits != Waits::kInWarp) {
        continue;
      }
      bool complete = true;
      for (std::size_t other = 0; other < lanes; ++other) {
        const Fiber& peer = fibers_[first + other];
        const bool named = (leader.mask >> other & 1U) != 0;
        complete = complete && (!named || peer.done ||
                                (peer.waits == Waits::kInWarp && peer.mask == leader.mask));
      }
      if (!complete) {
        continue;
      }
      const unsigned mask = leader.mask;
      for (std::size_t other = 0; other < lanes; ++other) {
        if ((mask >> other & 1U) != 0 && !fibers_[first + other].done) {
          fibers_[first + other].waits = Waits::kNot;
        }
      }
      any = true;
    }
  }
  return any;
}

// Lets all go on when all that are left wait at one barrier.
bool Block::release_block() {
  const Fiber* at = nullptr;
  for (const Fiber& fiber : fibers_) {
    if (fiber.done) {
      continue;
    }
    if (fiber.waits != Waits::kAtBarrier ||
        (at != nullptr && (fiber.line != at->line || std::strcmp(fiber.file, at->file) != 0))) {
      stuck();
    }
    at = &fiber;
  }
  for (Fiber& fiber : fibers_) {
    fiber.waits = Waits::kNot;
  }
  return at != nullptr;
}

void Block::stuck() const {
  std::string places;
  for (std::size_t i = 0; i < fibers_.size(); ++i) {
    const Fiber& fiber = fibers_[i];
    const std::string place =
        fiber.done
            ? "ended"
            : concat(fiber.waits == Waits::kInWarp ? "at a warp operation, " : "at a barrier, ",
                     fiber.file, ":", fiber.line);
    if (places.find(place) == std::string::npos) {
      places += concat(places.empty() ? "" : "; ", "thread ", i, " ", place);
    }
  }
  CLS_CHECK(false, DeviceError, "the threads of a block wait for each other: ", places);
  std::abort();
}

void Block::run(const std::function<void()>& kernel) {
  block_now = this;
  for (Fiber& fiber : fibers_) {
    start(fiber, kernel);
  }
  bool left = true;
  while (left) {
    left = false;
    for (Fiber& fiber : fibers_) {
      if (!fiber.done && fiber.waits == Waits::kNot) {
        go_on(fiber);
      }
      left = left || !fiber.done;
    }
    if (left && !release_warps()) {
      bool waiting = false;
      for (const Fiber& fiber : fibers_) {
        waiting = waiting || (!fiber.done && fiber.waits != Waits::kNot);
      }
      if (waiting) {
        release_block();
      }
    }
  }
}

}  // namespace

const Thread& current() {
  return block_now->running().self;
}

int lane() {
  return block_now->lane();
}

void* dynamic_shared() {
  return block_now->shared();
}

void barrier(const char* file, int line) {
  block_now->wait(Waits::kAtBarrier, file, line, 0);
}

void warp_barrier(const char* file, int line, unsigned mask) {
  block_now->wait(Waits::kInWarp, file, line, mask);
}

void exchange(unsigned mask, const void* value, void* result, std::size_t bytes, int source) {
  Fiber& fiber = block_now->running();
  Warp& warp = block_now->warp();
  auto& buffer = warp.values[static_cast<std::size_t>(fiber.exchanges++ % 2)];
  std::memcpy(buffer[static_cast<std::size_t>(block_now->lane())].data(), value, bytes);
  block_now->wait(Waits::kInWarp, "a shuffle or vote", 0, mask);
  std::memcpy(result, buffer[static_cast<std::size_t>(source)].data(), bytes);
}

unsigned ballot(unsigned mask, bool predicate) {
  // One exchange a lane would do; votes are rare, so each lane reads them all after one wait.
  Fiber& fiber = block_now->running();
  Warp& warp = block_now->warp();
  auto& buffer = warp.values[static_cast<std::size_t>(fiber.exchanges++ % 2)];
  buffer[static_cast<std::size_t>(block_now->lane())][0] = std::byte{predicate};
  block_now->wait(Waits::kInWarp, "a shuffle or vote", 0, mask);
  unsigned votes = 0;
  for (unsigned i = 0; i < kWarp; ++i) {
    votes |= (mask >> i & 1U) != 0 && buffer[i][0] == std::byte{1} ? 1U << i : 0U;
  }
  return votes;
}

void run(const dim3& grid,
         const dim3& block,
         std::size_t shared_bytes,
         const std::function<void()>& kernel) {
  const Index size{block.x, block.y, block.z};
  const Index blocks{grid.x, grid.y, grid.z};
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) {
        Block(Index{x, y, z}, size, blocks, shared_bytes).run(kernel);
      }
    }
  }
}

}  // namespace clausius::emulation
