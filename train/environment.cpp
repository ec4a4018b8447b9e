// SPDX-License-Identifier: Apache-2.0
// Facts about machine, build and environment.
#include "train/environment.h"

#include <array>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string_view>
#include <unistd.h>

#include "core/comm/launcher.h"
#include "core/io/json.h"
#include "core/libraries.h"
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

namespace {

std::string first_line_of(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

void warn_of_cores(std::vector<std::string>& warnings) {
  const auto online = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  if (available_cores() < online) {
    warnings.push_back(concat("the affinity mask leaves ", available_cores(), " of ", online,
                              " cores (taskset, a batch system, or mpirun's binding)"));
  }
  std::istringstream quota(first_line_of("/sys/fs/cgroup/cpu.max"));
  double allowed = 0;
  double period = 0;
  if (quota >> allowed >> period && period > 0 && allowed / period < available_cores()) {
    warnings.push_back(concat("the control group allows ", allowed / period, " of ",
                              available_cores(), " cores; set parallel.threads to that"));
  }
  double load = 0;
  if (getloadavg(&load, 1) == 1 && load > online + 0.5) {
    warnings.push_back(concat("the machine is busy (load ", load, " on ", online,
                              " cores): runs will be slow and timings will scatter"));
  }
}

}  // namespace

std::vector<std::string> environment_warnings() {
  std::vector<std::string> warnings;
  warn_of_cores(warnings);
  if (first_line_of("/sys/kernel/mm/transparent_hugepage/enabled").find("[never]") !=
      std::string::npos) {
    warnings.emplace_back(
        "transparent huge pages are off; large buffers are faster with them (echo madvise > "
        "/sys/kernel/mm/transparent_hugepage/enabled)");
  }
#ifdef CLAUSIUS_HAS_MPI
  const bool refused = geteuid() == 0 && std::getenv("OMPI_ALLOW_RUN_AS_ROOT") == nullptr;
  if (refused && detect_launcher().kind == LauncherKind::kNone) {
    warnings.emplace_back(
        "Open MPI's mpirun refuses root unless OMPI_ALLOW_RUN_AS_ROOT=1 and "
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 are set");
  }
#endif
  if (std::getenv("OMP_NUM_THREADS") != nullptr) {
    warnings.emplace_back("OMP_NUM_THREADS is set but not used: parallel.threads decides");
  }
  return warnings;
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
  Json versions{Json::Object{}};
  for (const LibraryInfo& library : libraries()) {
    versions.set(library.name, library.version);
  }
  document.set("libraries", versions);
  document.set("library_variables", variables);
  return document.dump(2) + "\n";
}

}  // namespace clausius
