// SPDX-License-Identifier: Apache-2.0
// DryRun: a program's own code, run without data, tells how much memory it takes.
#pragma once

namespace clausius {

/// While one lives, on the thread that made it: kernels return at once, floating-point copies and fills do nothing, and fresh
/// memory is address space that no page stands behind until it is touched (it reads as zeros). Shapes, checks, integers, the
/// tape and the allocator's accounts are as ever, so a training step of any size runs in milliseconds and leaves its true
/// peak in the stats of `allocator(device)`. Tensors made meanwhile may outlive it.
/// A device need not exist: its tensors are address space too, taken and kept for reuse as its caching allocator would, so that
/// `used_bytes + cached_bytes` is what the program would have taken from the device. That account starts empty after `trim()`.
class DryRun {
 public:
  DryRun();
  ~DryRun();
  DryRun(const DryRun&) = delete;
  DryRun& operator=(const DryRun&) = delete;
};

/// True on a thread where a DryRun lives.
[[nodiscard]] bool in_dry_run() noexcept;

}  // namespace clausius
