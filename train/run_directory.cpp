// SPDX-License-Identifier: Apache-2.0
// Opening run directories.
#include "train/run_directory.h"

#include "core/error.h"

namespace clausius {
namespace {

namespace fs = std::filesystem;

// A lock file alone is what a refused start leaves behind.
bool holds_a_run(const fs::path& directory) {
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(directory, failed)) {
    if (entry.path().filename() != "run.lock") {
      return true;
    }
  }
  return false;
}

}  // namespace

OpenedRun open_run_directory(const fs::path& directory, const std::string& resume) {
  OpenedRun run;
  run.files.directory = fs::absolute(directory).lexically_normal();
  std::error_code failed;
  fs::create_directories(run.files.directory, failed);
  CLS_CHECK(!failed, IoError, run.files.directory.string(), ": cannot be made: ", failed.message());
  run.resumed = holds_a_run(run.files.directory);
  CLS_CHECK(
      !run.resumed || !resume.empty(), ConfigError, "--run ", directory.string(),
      ": the directory is not empty; go on with it by --resume auto, or choose another with --run");
  run.lock = std::make_unique<RunLock>(run.files.directory);
  if (!run.lock->held()) {
    run.notes.emplace_back(
        "the file system has no locks; take care that only one process trains here");
  }
  if (resume == "auto") {
    LatestCheckpoint latest = find_latest_checkpoint(run.files.checkpoints());
    run.checkpoint = latest.file;
    for (const std::string& skipped : latest.skipped) {
      run.notes.push_back("skipped a damaged checkpoint: " + skipped);
    }
  } else if (!resume.empty()) {
    CLS_CHECK(fs::exists(resume), ConfigError, "--resume ", resume,
              ": there is no such file; expected auto or a checkpoint");
    run.checkpoint = CheckpointFile{.path = resume};
  }
  return run;
}

fs::path find_checkpoint(const fs::path& file_or_run) {
  CLS_CHECK(fs::exists(file_or_run), IoError, file_or_run.string(),
            ": there is no such checkpoint or run directory");
  if (!fs::is_directory(file_or_run)) {
    return file_or_run;
  }
  const fs::path folder =
      fs::exists(file_or_run / "checkpoints") ? file_or_run / "checkpoints" : file_or_run;
  const LatestCheckpoint latest = find_latest_checkpoint(folder);
  CLS_CHECK(latest.file.has_value(), IoError, folder.string(), ": holds no valid checkpoint",
            latest.skipped.empty() ? "" : "; skipped " + latest.skipped.front());
  return latest.file->path;
}

}  // namespace clausius
