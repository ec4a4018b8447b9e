// SPDX-License-Identifier: Apache-2.0
// Facts about machine, build and environment.
#include "train/environment.h"

#include <array>
#include <string_view>
#include <unistd.h>

#include "core/io/json.h"
#include "core/parallel.h"
#include "core/version.h"
#include "train/machine.h"

extern char** environ;  // NOLINT(readability-identifier-naming): POSIX

namespace clausius {

std::vector<std::pair<std::string, std::string>> library_variables() {
  constexpr std::array<std::string_view, 7> kPrefixes = {"OMP_",     "GOMP_",     "KMP_", "DNNL_",
                                                         "LIBXSMM_", "OMPI_MCA_", "HDF5_"};
  std::vector<std::pair<std::string, std::string>> found;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view variable(*entry);
    for (const std::string_view prefix : kPrefixes) {
      if (variable.starts_with(prefix)) {
        const std::size_t equals = variable.find('=');
        found.emplace_back(variable.substr(0, equals), variable.substr(equals + 1));
      }
    }
  }
  return found;
}

std::string environment_json(const Communicator& communicator, const RunPlan& plan) {
  Json variables{Json::Object{}};
  for (const auto& [name, value] : library_variables()) {
    variables.set(name, value);
  }
  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  Json document;
  document.set("version", kVersion);
  document.set("commit", kCommit);
  document.set("host", host.data());
  document.set("cpu", cpu_model());
  document.set("cores", available_cores());
  document.set("memory_bytes", available_memory_bytes());
  document.set("ranks", communicator.size());
  document.set("communicator", communicator.description());
  document.set("overlap", communicator.overlap() == Overlap::kThread ? "thread" : "inline");
  document.set("threads", plan.threads);
  document.set("micro_batch", plan.micro_batch);
  document.set("bucket_bytes", plan.bucket_bytes);
  document.set("library_variables", variables);
  return document.dump(2) + "\n";
}

}  // namespace clausius
