// SPDX-License-Identifier: Apache-2.0
// Running SIMD kernels on every instruction set.
#pragma once

#include <functional>
#include <string_view>

namespace clausius::test {

/// Calls fn(name of the set) while kernels run on each instruction set that this build holds and this machine has, best first.
void for_each_simd_target(const std::function<void(std::string_view)>& fn);

}  // namespace clausius::test
