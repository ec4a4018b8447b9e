// SPDX-License-Identifier: Apache-2.0
// The list of registries.
#include "core/registry.h"

namespace clausius {
namespace {

std::vector<const RegistryBase*>& all() {
  static std::vector<const RegistryBase*> list;
  return list;
}

}  // namespace

RegistryBase::RegistryBase(std::string_view family) : family_(family) {
  auto& list = all();
  list.insert(std::upper_bound(list.begin(), list.end(), this,
                               [](const RegistryBase* a, const RegistryBase* b) {
                                 return a->family() < b->family();
                               }),
              this);
}

std::vector<const RegistryBase*> registries() {
  return all();
}

const RegistryBase& registry(std::string_view family) {
  std::vector<std::string_view> families;
  for (const RegistryBase* candidate : all()) {
    if (candidate->family() == family) {
      return *candidate;
    }
    families.push_back(candidate->family());
  }
  throw ConfigError(concat("unknown family '", family, "'", suggestion(family, families)));
}

}  // namespace clausius
