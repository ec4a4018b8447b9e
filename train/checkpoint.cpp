// SPDX-License-Identifier: Apache-2.0
// The layout of a checkpoint file, and the choice among several.
#include "train/checkpoint.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <system_error>

#include "core/checked.h"
#include "core/error.h"
#include "core/io/atomic_file.h"

namespace clausius {
namespace {

constexpr std::string_view kFormat = "clausius checkpoint";
constexpr std::int64_t kFormatVersion = 1;
constexpr std::string_view kPrefix = "step_";
constexpr std::string_view kExtension = ".h5";
constexpr int kStepDigits = 9;
constexpr std::array<TensorRole, 4> kRoles{TensorRole::kParameter, TensorRole::kOptimizer,
                                           TensorRole::kState, TensorRole::kMonitor};

std::string group_of(TensorRole role) {
  switch (role) {
    case TensorRole::kParameter:
      return "parameters";
    case TensorRole::kOptimizer:
      return "optimizer";
    case TensorRole::kState:
      return "state";
    case TensorRole::kMonitor:
      return "monitor";
  }
  return {};
}

std::string dataset_of(TensorRole role, std::string_view name) {
  return concat(group_of(role), '/', name);
}

// The step in a checkpoint's file name; empty for other files.
std::optional<std::int64_t> step_of(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  const std::string_view text = name;
  if (!text.starts_with(kPrefix) || !text.ends_with(kExtension) ||
      text.size() < kPrefix.size() + kStepDigits + kExtension.size()) {
    return std::nullopt;
  }
  const std::string_view digits =
      text.substr(kPrefix.size(), text.size() - kPrefix.size() - kExtension.size());
  std::int64_t step = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), step);
  return error == std::errc{} && end == digits.data() + digits.size() && step >= 0
             ? std::optional(step)
             : std::nullopt;
}

void write_content(Hdf5Writer& file, const Checkpoint& checkpoint) {
  file.attribute("/", "format", std::string(kFormat));
  file.attribute("/", "format_version", kFormatVersion);
  file.attribute("/", "step", checkpoint.step);
  file.attribute("/", "tokens", checkpoint.tokens);
  file.attribute("/", "samples", checkpoint.samples);
  file.attribute("/", "num_tensors", std::ssize(checkpoint.tensors));
  if (checkpoint.score) {
    file.attribute("/", "score", *checkpoint.score);
  }
  for (const char* const group : {"texts", "values", "aliases"}) {
    file.group(group);
  }
  for (const auto& [name, text] : checkpoint.texts) {
    file.text("texts/" + name, text);
  }
  for (const auto& [name, value] : checkpoint.values) {
    file.attribute("values", name, value);
  }
  for (const auto& [alias, name] : checkpoint.aliases) {
    file.attribute("aliases", alias, name);
  }
  for (const TensorRole role : kRoles) {
    file.group(group_of(role));
  }
  std::int64_t order = 0;
  for (const CheckpointTensor& tensor : checkpoint.tensors) {
    const std::string name = dataset_of(tensor.role, tensor.name);
    file.tensor(name, tensor.value);
    file.attribute(name, "order", order++);
  }
}

void check_format(const Hdf5Reader& file, const std::filesystem::path& path) {
  CLS_CHECK(file.attribute("/", "format") == Hdf5Value(std::string(kFormat)), IoError,
            path.string(), ": this is not a checkpoint");
  const auto version = file.require<std::int64_t>("/", "format_version");
  CLS_CHECK(version <= kFormatVersion, IoError, path.string(), ": checkpoint format ", version,
            " is newer than this program, which reads up to ", kFormatVersion);
}

struct StoredTensor {
  std::int64_t order = 0;
  TensorRole role = TensorRole::kParameter;
  std::string name;
};

// All tensors of the file in the order they were given. Errors: IoError when some are missing.
std::vector<StoredTensor> list_tensors(const Hdf5Reader& file, const std::filesystem::path& path) {
  std::vector<StoredTensor> stored;
  for (const TensorRole role : kRoles) {
    if (!file.contains(group_of(role))) {
      continue;  // written before there was such a group; the number of tensors tells whether any is missing
    }
    for (std::string& name : file.datasets(group_of(role))) {
      const auto order = file.require<std::int64_t>(dataset_of(role, name), "order");
      stored.push_back({.order = order, .role = role, .name = std::move(name)});
    }
  }
  const auto expected = file.require<std::int64_t>("/", "num_tensors");
  CLS_CHECK(std::ssize(stored) == expected, IoError, path.string(), ": ", stored.size(),
            " tensors are there; expected ", expected);
  std::sort(stored.begin(), stored.end(),
            [](const auto& a, const auto& b) { return a.order < b.order; });
  return stored;
}

template <class T>
bool all_finite(const Tensor& tensor) {
  const std::span<const T> values = tensor.span<T>();
  return std::all_of(values.begin(), values.end(),
                     [](T value) { return std::isfinite(static_cast<double>(value)); });
}

bool is_finite(const Tensor& tensor) {
  switch (tensor.dtype()) {
    case Dtype::kF32:
      return all_finite<float>(tensor);
    case Dtype::kF64:
      return all_finite<double>(tensor);
    case Dtype::kBf16:
      return all_finite<bf16>(tensor);
    default:
      return true;
  }
}

// Everything but the tensors.
Checkpoint read_head(const Hdf5Reader& file) {
  Checkpoint checkpoint;
  checkpoint.step = file.require<std::int64_t>("/", "step");
  checkpoint.tokens = file.require<std::int64_t>("/", "tokens");
  checkpoint.samples = file.require<std::int64_t>("/", "samples");
  if (file.attribute("/", "score")) {
    checkpoint.score = file.require<double>("/", "score");
  }
  for (const std::string& name : file.datasets("texts")) {
    checkpoint.texts[name] = file.text("texts/" + name);
  }
  for (const std::string& name : file.attribute_names("values")) {
    checkpoint.values[name] = file.attribute("values", name).value();
  }
  for (const std::string& alias : file.attribute_names("aliases")) {
    checkpoint.aliases.emplace_back(alias, file.require<std::string>("aliases", alias));
  }
  return checkpoint;
}

}  // namespace

Tensor Checkpoint::find(TensorRole role, std::string_view name) const {
  if (role == TensorRole::kParameter) {
    const auto alias = std::find_if(aliases.begin(), aliases.end(),
                                    [&](const auto& pair) { return pair.first == name; });
    name = alias != aliases.end() ? std::string_view(alias->second) : name;
  }
  const auto found = std::find_if(
      tensors.begin(), tensors.end(),
      [&](const CheckpointTensor& tensor) { return tensor.role == role && tensor.name == name; });
  return found != tensors.end() ? found->value : Tensor();
}

std::uint64_t Checkpoint::bytes() const {
  std::uint64_t sum = 0;
  for (const CheckpointTensor& tensor : tensors) {
    sum += tensor.value.bytes();
  }
  return sum;
}

std::filesystem::path checkpoint_path(const std::filesystem::path& directory, std::int64_t step) {
  std::string digits = std::to_string(step);
  digits.insert(
      0, static_cast<std::size_t>(std::max<std::int64_t>(0, kStepDigits - std::ssize(digits))),
      '0');
  return directory / concat(kPrefix, digits, kExtension);
}

void write_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint) {
  AtomicFile atomic(path);
  Hdf5Writer file(atomic.temporary());
  write_content(file, checkpoint);
  file.close();
  atomic.commit();
}

Checkpoint read_checkpoint(const std::filesystem::path& path,
                           const CheckpointReadOptions& options) {
  const Hdf5Reader file(path, Hdf5Reader::Checksums::kRequired);
  check_format(file, path);
  Checkpoint checkpoint = read_head(file);
  for (StoredTensor& stored : list_tensors(file, path)) {
    if (stored.role == TensorRole::kOptimizer && !options.optimizer) {
      continue;
    }
    Tensor value = file.tensor(dataset_of(stored.role, stored.name));
    CLS_CHECK(!options.check_finite || is_finite(value), IoError, path.string(), ": ",
              group_of(stored.role), " '", stored.name, "' holds values that are not finite");
    checkpoint.tensors.push_back(
        {.name = std::move(stored.name), .role = stored.role, .value = std::move(value)});
  }
  return checkpoint;
}

void verify_checkpoint(const std::filesystem::path& path) {
  const Hdf5Reader file(path, Hdf5Reader::Checksums::kRequired);
  check_format(file, path);
  static_cast<void>(read_head(file));
  for (const StoredTensor& stored : list_tensors(file, path)) {
    static_cast<void>(file.tensor(dataset_of(stored.role, stored.name)));
  }
}

std::vector<CheckpointFile> list_checkpoints(const std::filesystem::path& directory) {
  std::vector<CheckpointFile> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (const auto step = step_of(entry.path())) {
      files.push_back({.step = *step, .path = entry.path()});
    }
  }
  CLS_CHECK(!error || error == std::errc::no_such_file_or_directory, IoError, "cannot list ",
            directory.string(), ": ", error.message());
  std::sort(files.begin(), files.end(),
            [](const auto& a, const auto& b) { return a.step < b.step; });
  return files;
}

LatestCheckpoint find_latest_checkpoint(const std::filesystem::path& directory) {
  LatestCheckpoint latest;
  std::vector<CheckpointFile> files = list_checkpoints(directory);
  for (auto file = files.rbegin(); file != files.rend(); ++file) {
    try {
      verify_checkpoint(file->path);
      latest.file = *file;
      break;
    } catch (const IoError& error) {
      latest.skipped.emplace_back(error.what());
    }
  }
  return latest;
}

std::vector<std::filesystem::path> set_aside_later_checkpoints(
    const std::filesystem::path& directory, std::int64_t step) {
  std::vector<std::filesystem::path> renamed;
  for (const CheckpointFile& file : list_checkpoints(directory)) {
    if (file.step <= step) {
      continue;
    }
    std::filesystem::path aside = file.path;
    aside += ".set_aside";
    std::error_code error;
    std::filesystem::rename(file.path, aside, error);
    CLS_CHECK(!error, IoError, "cannot rename ", file.path.string(), ": ", error.message());
    renamed.push_back(std::move(aside));
  }
  return renamed;
}

}  // namespace clausius
