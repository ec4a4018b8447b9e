// SPDX-License-Identifier: Apache-2.0
// Variables of each launcher, innermost launcher first.
#include "core/comm/launcher.h"

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <optional>

namespace clausius {
namespace {

std::optional<int> number_in(const char* variable) {
  const char* const text = std::getenv(variable);
  if (text == nullptr) {
    return std::nullopt;
  }
  int value = 0;
  const char* const end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, value);
  return error == std::errc{} && stop == end ? std::optional(value) : std::nullopt;
}

bool is_set(const char* variable) {
  return std::getenv(variable) != nullptr;
}

}  // namespace

std::string_view name_of(LauncherKind kind) {
  switch (kind) {
    case LauncherKind::kNone:
      return "no launcher";
    case LauncherKind::kOpenMpi:
      return "Open MPI's mpirun";
    case LauncherKind::kHydra:
      return "a hydra mpirun (MPICH, Intel MPI)";
    case LauncherKind::kPmix:
      return "a PMIx launcher";
    case LauncherKind::kSlurm:
      return "srun";
    case LauncherKind::kTorchrun:
      return "torchrun";
  }
  return "?";
}

bool is_mpirun(LauncherKind kind) {
  return kind == LauncherKind::kOpenMpi || kind == LauncherKind::kHydra;
}

Launcher detect_launcher() {
  if (const auto size = number_in("OMPI_COMM_WORLD_SIZE")) {
    return {.kind = LauncherKind::kOpenMpi,
            .size = *size,
            .rank = number_in("OMPI_COMM_WORLD_RANK").value_or(0)};
  }
  if (is_set("TORCHELASTIC_RUN_ID")) {
    return {.kind = LauncherKind::kTorchrun,
            .size = number_in("WORLD_SIZE").value_or(0),
            .rank = number_in("RANK").value_or(0)};
  }
  // Slurm sets its step variables for srun's tasks only; SLURM_PROCID and SLURM_NTASKS exist in
  // batch scripts as well.
  if (is_set("SLURM_STEP_ID") && is_set("SLURM_PROCID")) {
    const auto size = number_in("SLURM_STEP_NUM_TASKS");
    return {.kind = LauncherKind::kSlurm,
            .size = size ? *size : number_in("SLURM_NTASKS").value_or(0),
            .rank = number_in("SLURM_PROCID").value_or(0)};
  }
  if (const auto size = number_in("PMI_SIZE")) {
    return {.kind = LauncherKind::kHydra, .size = *size, .rank = number_in("PMI_RANK").value_or(0)};
  }
  if (const auto rank = number_in("PMIX_RANK")) {
    return {.kind = LauncherKind::kPmix, .size = 0, .rank = *rank};
  }
  return {};
}

}  // namespace clausius
