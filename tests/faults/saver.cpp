// SPDX-License-Identifier: Apache-2.0
// The program that the fault tests kill: `saver save|rows DIRECTORY AT TORN` under the shim, `saver loop DIRECTORY`
// without it.
#include <cstdlib>
#include <dlfcn.h>
#include <iostream>
#include <string>

#include "core/error.h"
#include "core/io/hdf5_rows.h"
#include "tests/faults/sample.h"
#include "train/checkpoint_saver.h"

namespace clausius {
namespace {

constexpr std::int64_t kRows = 4;
constexpr std::int64_t kLoopKilobytes = 512;

template <class Function>
Function shim(const char* name) {
  auto* const function = reinterpret_cast<Function>(::dlsym(RTLD_DEFAULT, name));
  CLS_CHECK(function != nullptr, IoError, "the fault shim is not preloaded");
  return function;
}

void arm(const std::string& at, const std::string& torn) {
  shim<void (*)(long, int)>("cls_fault_arm")(std::stol(at), torn == "1");
}

void report_calls() {
  std::cout << "calls " << shim<long (*)()>("cls_fault_count")() << '\n';
}

// Saves step 2 where step 1 is, which is then surplus.
void save(const std::string& directory, const std::string& at, const std::string& torn) {
  CheckpointSaver saver(directory, {.keep_last = 1, .asynchronous = false});
  arm(at, torn);
  saver.save(test::sample_checkpoint(2));
  report_calls();
}

void append_rows(const std::string& directory, const std::string& at, const std::string& torn) {
  arm(at, torn);
  Hdf5RowWriter writer(directory + "/entropy.h5", test::sample_row_specs());
  std::cout << "started\n" << std::flush;
  for (std::int64_t row = 0; row < kRows; ++row) {
    writer.append(test::sample_row(row));
    std::cout << "appended\n" << std::flush;
  }
  writer.close();
  report_calls();
}

// Goes on from the newest checkpoint until it is killed.
void loop(const std::string& directory) {
  CheckpointSaver saver(directory, {.keep_last = 2});
  const LatestCheckpoint latest = find_latest_checkpoint(directory);
  std::int64_t step = latest.file ? latest.file->step : 0;
  std::cout << "saving\n" << std::flush;
  while (true) {
    saver.save(test::sample_checkpoint(++step, kLoopKilobytes));
    if (!saver.take_finished().empty()) {
      std::cout << "saved\n" << std::flush;
    }
  }
}

}  // namespace
}  // namespace clausius

int main(int argc, char** argv) {
  const std::string mode = argc > 2 ? argv[1] : "";
  if (mode == "loop") {
    clausius::loop(argv[2]);
  } else if (mode == "save" && argc == 5) {
    clausius::save(argv[2], argv[3], argv[4]);
  } else if (mode == "rows" && argc == 5) {
    clausius::append_rows(argv[2], argv[3], argv[4]);
  } else {
    std::cerr << "usage: saver save|rows DIRECTORY AT TORN | saver loop DIRECTORY\n";
    return 2;
  }
  return 0;
}
