// SPDX-License-Identifier: Apache-2.0
// `clausius doctor`: what this machine offers, which backends are on, and whether ranks reach each other.
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/App.hpp>
#include <fmt/format.h>

#include "core/comm/communicator.h"
#include "core/device_backend.h"
#include "core/io/json.h"
#include "core/kernel_table.h"
#include "core/libraries.h"
#include "core/parallel.h"
#include "core/simd/target.h"
#include "core/version.h"
#include "train/commands/command.h"
#include "train/commands/ranks.h"
#include "train/environment.h"
#include "train/format.h"
#include "train/machine.h"

namespace clausius {
namespace {

struct SlowKernel {
  std::string_view op;
  Dtype dtype;
};

std::vector<SlowKernel> reference_only() {
  std::vector<SlowKernel> slow;
  for (const KernelTableBase* table : kernel_tables()) {
    for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
      if (!table->has(DeviceKind::kCpu, dtype)) {
        slow.push_back({table->op(), dtype});
      }
    }
  }
  return slow;
}

// A sum and a broadcast, so that a rank that is not reached shows here and not after the data are read. Collective.
void check_communicator(Communicator& communicator) {
  const auto ranks = static_cast<std::int64_t>(communicator.size());
  const std::int64_t sum =
      communicator.all_reduce(std::int64_t{communicator.rank() + 1}, ReduceOp::kSum, "doctor");
  const std::string text =
      communicator.broadcast_text(communicator.rank() == 0 ? "clausius" : "", 0, "doctor");
  if (cuda_backend() != nullptr) {
    Tensor there = Tensor::full({1}, 1.0, Dtype::kF32, kCuda);
    communicator.all_reduce(there, ReduceOp::kSum, "doctor");
    CLS_CHECK(there.item() == static_cast<double>(ranks), CommError, "all_reduce on the GPUs of ",
              ranks, " ranks gave ", there.item());
  }
  CLS_CHECK(sum == ranks * (ranks + 1) / 2 && text == "clausius", CommError, "all_reduce over ",
            ranks, " ranks gave ", sum, " and broadcast '", text, "'");
}

std::string backends() {
  DeviceBackend* cuda = cuda_backend();
  if (cuda == nullptr) {
    return built_with_cuda() ? "cpu; cuda is in this build, and finds no device"
                             : "cpu; cuda is not in this build";
  }
  std::string list = "cpu, cuda";
  for (int i = 0; i < cuda->count(); ++i) {
    list += fmt::format("\n{:<14}{}", fmt::format("cuda:{}", i), cuda->describe(i));
  }
  return list;
}

class DoctorCommand final : public Command {
 public:
  void declare(CLI::App& app) override { app.add_flag("--json", json_, "one object, for scripts"); }

  ExitCode run() override {
    const std::unique_ptr<Communicator> communicator =
        make_communicator(ParallelConfig(), cuda_backend() != nullptr ? kCuda : kCpu);
    check_communicator(*communicator);
    if (communicator->rank() == 0) {
      std::cout << (json_ ? json(*communicator) : text(*communicator));
    }
    return ExitCode::kDone;
  }

 private:
  static std::string text(const Communicator& communicator) {
    const auto line = [](std::string_view name, const std::string& value) {
      return fmt::format("{:<14}{}\n", name, value);
    };
    std::string out = line("clausius", fmt::format("{} (commit {})", kVersion, kCommit));
    out += line("cpu", cpu_model());
    out += line("cores", fmt::format("{} in the affinity mask", available_cores()));
    out += line("memory", format_bytes(static_cast<double>(available_memory_bytes())));
    out += line("simd", simd_target());
    out += line("backends", backends());
    out += line("communicator", fmt::format("{}, {} rank{}: a sum and a broadcast are right",
                                            communicator.description(), communicator.size(),
                                            communicator.size() == 1 ? "" : "s"));
    for (const LibraryInfo& library : libraries()) {
      out += line("library", library.name + " " + library.version);
    }
    const std::vector<SlowKernel> slow = reference_only();
    out += line("kernels", fmt::format("{} ops with cpu kernels; f64 always runs the references",
                                       kernel_tables().size()));
    std::string names;
    for (const SlowKernel& kernel : slow) {
      names += fmt::format("{}{} {}", names.empty() ? "" : ", ", kernel.op, name_of(kernel.dtype));
    }
    out += names.empty() ? "" : line("", "the reference only: " + names);
    for (const auto& [name, value] : library_variables()) {
      out += line("variable", name + "=" + value);
    }
    for (const std::string& warning : environment_warnings()) {
      out += line("warning", warning);
    }
    return out;
  }

  static std::string json(const Communicator& communicator) {
    Json versions{Json::Object{}};
    for (const LibraryInfo& library : libraries()) {
      versions.set(library.name, library.version);
    }
    Json slow{Json::Array{}};
    for (const SlowKernel& kernel : reference_only()) {
      slow.push(concat(kernel.op, " ", kernel.dtype));
    }
    Json variables{Json::Object{}};
    for (const auto& [name, value] : library_variables()) {
      variables.set(name, value);
    }
    const std::vector<std::string> warnings = environment_warnings();
    Json document;
    document.set("version", kVersion);
    document.set("commit", kCommit);
    document.set("cpu", cpu_model());
    document.set("cores", available_cores());
    document.set("memory_bytes", available_memory_bytes());
    document.set("simd", simd_target());
    Json backends{Json::Array{"cpu"}};
    Json devices{Json::Array{}};
    if (DeviceBackend* cuda = cuda_backend(); cuda != nullptr) {
      backends.push("cuda");
      for (int i = 0; i < cuda->count(); ++i) {
        devices.push(cuda->describe(i));
      }
    }
    document.set("backends", backends);
    document.set("devices", devices);
    document.set("communicator", communicator.description());
    document.set("ranks", communicator.size());
    document.set("libraries", versions);
    document.set("kernel_tables", static_cast<std::int64_t>(kernel_tables().size()));
    document.set("reference_only", slow);
    document.set("library_variables", variables);
    document.set("warnings", Json::Array(warnings.begin(), warnings.end()));
    return document.dump() + "\n";
  }

  bool json_ = false;
};

CLS_COMMAND("doctor", "what this machine offers, and what is wrong with it", DoctorCommand);

}  // namespace
}  // namespace clausius
