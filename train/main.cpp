// SPDX-License-Identifier: Apache-2.0
// The `clausius` program.
#include <iostream>

#include "core/version.h"

int main() {
  std::cout << "clausius " << clausius::kVersion << '\n';
}
