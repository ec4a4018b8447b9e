// SPDX-License-Identifier: Apache-2.0
// The initializer family: kinds register themselves by name (recipe key model.init).
#pragma once

#include <memory>

#include "core/registry.h"
#include "layers/init_stream.h"

namespace clausius {

template <>
struct RegistryTraits<Initializer> {
  static constexpr std::string_view kFamily = "init";
  using Context = NoContext;
  using Make = std::unique_ptr<Initializer>();
};

}  // namespace clausius
