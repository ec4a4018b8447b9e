// SPDX-License-Identifier: Apache-2.0
// The list of kernel tables.
#include "core/kernel_table.h"

namespace clausius {
namespace {
std::vector<const KernelTableBase*>& tables() {
  static std::vector<const KernelTableBase*> list;
  return list;
}
}  // namespace

KernelTableBase::KernelTableBase(std::string_view op) : op_(op) {
  tables().push_back(this);
}

const std::vector<const KernelTableBase*>& kernel_tables() {
  return tables();
}

}  // namespace clausius
